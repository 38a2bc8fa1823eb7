"""The places of values among boundaries in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_MOST = 2**20  # comparisons


class Buckets(Rewrite):
    """The bucket of a value is how many boundaries are below it."""

    operators: ClassVar[tuple[str, ...]] = ("bucketize.Tensor", "searchsorted.Tensor")
    formats: ClassVar[Mapping[str, Trouble]] = {"onnx": "refused", "tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """For boundaries in one row, which are in order, where all values can be compared with all of them."""
        first, second = (argument(node, place, "", None).meta["val"] for place in range(2))
        buckets = str(node.target) == "aten.bucketize.Tensor"
        values, boundaries = (first, second) if buckets else (second, first)
        plain = buckets or not ({"side", "sorter"} & node.kwargs.keys())
        if boundaries.dim() != 1 or not plain or values.numel() * boundaries.numel() > _MOST:
            return None
        right, type_ = argument(node, 3, "right", False), node.meta["val"].dtype
        if buckets:
            return lambda x, edges, *_, **__: _counted(x, edges, right).to(type_)
        return lambda edges, x, *_, **__: _counted(x, edges, right).to(type_)


def _counted(x: Tensor, edges: Tensor, right: bool) -> Tensor:
    below = edges <= x.unsqueeze(-1) if right else edges < x.unsqueeze(-1)
    return below.sum(-1)
