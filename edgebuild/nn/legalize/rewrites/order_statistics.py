"""One value of an axis by its rank, such as the median."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class OrderStatistics(Rewrite):
    """The median, the k-th least and a quantile of an axis are taken from its values in order."""

    operators: ClassVar[tuple[str, ...]] = ("median.dim", "kthvalue.default", "quantile.scalar")
    formats: ClassVar[Mapping[str, Trouble]] = {"onnx": "refused", "tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Always: the median is the lower of two in the middle, as PyTorch has it."""
        shape, median = argument(node, 0, "self", None).meta["val"].shape, str(node.target) == "aten.median.dim"
        if not shape:
            return None
        if str(node.target) == "aten.quantile.scalar":
            return _quantile if argument(node, 4, "interpolation", "linear") == "linear" else None
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


def _quantile(x: Tensor, q: float, dim: int | None = None, keepdim: bool = False, **_: Any) -> Tensor:
    """Between the two neighbours of its place, as far as it is from either (torch.quantile, "linear")."""
    import torch

    values, axis = (x.flatten(), 0) if dim is None else (x, dim)
    ordered, place = torch.sort(values, dim=axis)[0], q * (values.shape[axis] - 1)
    low = min(int(place), max(values.shape[axis] - 2, 0))
    one, other = (ordered.narrow(axis, min(at, values.shape[axis] - 1), 1) for at in (low, low + 1))
    result = one + (other - one) * (place - low)
    if dim is None:
        return result.reshape([1] * x.ndim if keepdim else [])
    return result if keepdim else result.squeeze(axis)
