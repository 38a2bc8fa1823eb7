"""One value of an axis by its rank, such as the median."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class OrderStatistics(Rewrite):
    """The median and the k-th least of an axis are taken from its values in order."""

    operators: ClassVar[tuple[str, ...]] = ("median.dim", "kthvalue.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"onnx": "refused", "tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Always: the median is the lower of two in the middle, as PyTorch has it."""
        shape, median = argument(node, 0, "self", None).meta["val"].shape, str(node.target) == "aten.median.dim"
        if not shape:
            return None
        axis, keep = (
            argument(node, *where)
            for where in ((1 if median else 2, "dim", -1), (2 if median else 3, "keepdim", False))
        )
        rank = (shape[axis] - 1) // 2 if median else argument(node, 1, "k", 1) - 1
        return lambda x, *_, **__: _ranked(x, rank, axis, keep)


def _ranked(x: Tensor, rank: int, axis: int, keep: bool) -> tuple[Tensor, ...]:
    import torch

    parts = (part.narrow(axis, rank, 1) for part in torch.sort(x, dim=axis))
    return tuple(part if keep else part.squeeze(axis) for part in parts)
