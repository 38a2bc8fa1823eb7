"""Values that are added where numbers say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_MOST = 2**22  # comparisons


class ScatteredSums(Rewrite):
    """Values are added at numbered places of an axis by comparing each number with all places."""

    operators: ClassVar[tuple[str, ...]] = ("scatter_add.default",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where values go to axes of their own length but for this one, and can be compared with all its places."""
        onto, index = (argument(node, place, "", None).meta["val"] for place in (0, 2))
        values, axis = argument(node, 3, "src", None).meta["val"], argument(node, 1, "dim", 0)
        others = [onto.shape[k] == index.shape[k] for k in range(onto.dim()) if k != axis % max(onto.dim(), 1)]
        if not onto.dim() or not all(others) or values.shape != index.shape:
            return None
        return _added if onto.shape[axis] * index.numel() <= _MOST else None


def _added(onto: Tensor, axis: int, index: Tensor, values: Tensor) -> Tensor:
    import torch

    places = torch.arange(onto.shape[axis])
    hits = (index.movedim(axis, -1).unsqueeze(-2) == places.unsqueeze(-1)).to(values.dtype)
    return onto + (hits * values.movedim(axis, -1).unsqueeze(-2)).sum(-1).movedim(-1, axis)
