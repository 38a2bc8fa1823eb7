"""Examples and answers of files that have no batch axis: here each has one of 1 in front, there none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Sample = tuple[np.ndarray[Any, Any], ...]


def lacks(sizes: Sequence[int]) -> bool:
    """Whether no axis or another than the batch is in front."""
    return tuple(sizes[:1]) != (1,)


def without(sample: Sample, ranks: Sequence[int]) -> Sample:
    """The example as the file that came takes it, by the numbers of its inputs' axes."""
    return tuple(x[0, ...] if x.ndim == rank + 1 else x for x, rank in zip(sample, ranks, strict=True))


def within(answers: Sample) -> Iterator[np.ndarray[Any, Any]]:
    """What the file that came answers, as one example's answers."""
    for values in answers:
        yield values[None] if lacks(values.shape) else values
