"""Answers that are equal or not (numbers of classes, yes and no), beside those that are more or less far from others.

Class 3 is no nearer to class 4 than to class 90. Whole numbers of 8 and 16 bits are values: pixels and samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.spec.rows import Array

_LEAST = 4  # bytes of a whole number that names something


def whole(dtype: str) -> bool:
    """Whether a type of elements is one of whole numbers, with or without a sign."""
    return dtype.startswith(("int", "uint"))


def names(dtype: np.dtype[Any]) -> bool:
    """Whether values of this type are equal or not, and no distance."""
    return dtype.kind == "b" or (dtype.kind in "iu" and dtype.itemsize >= _LEAST)


def unequal(values: Array, others: Array) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The share of each example's values that are not those of the other, [N]."""
    differing: np.ndarray[Any, np.dtype[np.float64]] = (values != others).reshape(len(values), -1).mean(1)
    return differing
