"""How much an operator does, by the shapes of its tensors; where its weights are is the format's to say."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from edgebuild.spec.work import Work

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# An output takes a product for every weight of its channel, or, transposed, an input does; that channel stands first
# among the kernel's axes, or last. In a product of matrices an output takes one for every element of a row.
Rule = Literal["convolution", "depthwise", "transposed", "transposed last", "matrix"]


def of_operator(
    kind: str,
    settings: str,
    taken: Iterable[Array | None],
    written: Iterable[Array],
    rule: tuple[Rule, int, int] | None,
) -> Work:
    """The work of an operator that takes and makes these arrays, of which only shapes and types are looked at.

    `rule` is how products are counted, and the positions of the data and of the weights among what is taken; None for
    an operator without any.
    """
    inputs, results = list(taken), list(written)
    shapes = [[f"{x.dtype}{list(x.shape)}" if x is not None else "-" for x in side] for side in (inputs, results)]
    moved = sum(x.nbytes for x in (*inputs, *results) if x is not None)
    signature = f"{kind}({settings}) {' '.join(shapes[0])} -> {' '.join(shapes[1])}"
    return Work(signature, _macs(inputs, results, rule), moved)


def _macs(inputs: list[Array | None], results: list[Array], rule: tuple[Rule, int, int] | None) -> int:
    if rule is None:
        return 0
    how, data, weights = rule
    values, kernel = inputs[data], inputs[weights]
    if values is None or kernel is None or not results:
        return 0
    if how == "matrix":
        return int(results[0].size * values.shape[-1])
    last = how in ("depthwise", "transposed last")
    each = math.prod(kernel.shape[:-1] if last else kernel.shape[1:])
    return int((values if how.startswith("transposed") else results[0]).size * each)
