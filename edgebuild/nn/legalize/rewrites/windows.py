"""Windows that slide along an axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Windows(Rewrite):
    """Windows along an axis are stacked of strided slices, one for each place in a window."""

    operators: ClassVar[tuple[str, ...]] = ("unfold.default",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Always."""
        axis, size, step = (
            argument(node, 1 + place, key, 1) for place, key in enumerate(("dimension", "size", "step"))
        )
        count = node.meta["val"].shape[axis if axis >= 0 else axis - 1]
        return lambda x, *_, **__: _stacked(x, axis, size, step, count)


def _stacked(x: Tensor, axis: int, size: int, step: int, count: int) -> Tensor:
    import torch

    last = x.movedim(axis, -1)
    slices = [last[..., at : at + step * (count - 1) + 1 : step] for at in range(size)]
    return torch.stack(slices, -1).movedim(-2, axis if axis >= 0 else axis - 1)
