"""Mean pools that are told how many windows there are, of unequal sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, each
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_LARGEST = 2**20  # elements of the matrix


class AdaptiveMean(Rewrite):
    """An adaptive mean pool with unequal windows becomes a product with a constant matrix."""

    operators: ClassVar[tuple[str, ...]] = (
        *("adaptive_avg_pool1d.default", "adaptive_avg_pool2d.default"),
        "adaptive_avg_pool3d.default",
    )
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "slow"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where windows differ: dozens of operators that gather otherwise."""
        sizes = argument(node, 0, "self", None).meta["val"].shape[2:]
        counts = each(argument(node, 1, "output_size", 1), len(sizes))
        unequal = any(size % count for size, count in zip(sizes, counts, strict=True))
        return _product if unequal and math.prod((*sizes, *counts)) <= _LARGEST else None


def _product(x: Tensor, output_size: int | Sequence[int]) -> Tensor:
    import torch

    counts = each(output_size, x.ndim - 2)
    matrix = [[1.0]]
    for size, count in zip(x.shape[2:], counts, strict=True):
        shares = [[0.0] * count for _ in range(size)]
        for k in range(count):
            first, last = k * size // count, -(-(k + 1) * size // count)
            for place in range(first, last):
                shares[place][k] = 1 / (last - first)
        matrix = [[one * other for one in row for other in own] for row in matrix for own in shares]
    return (x.flatten(2) @ torch.tensor(matrix, dtype=x.dtype)).reshape(*x.shape[:2], *counts)
