"""Values that are added where numbers say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, comparable, hits, in_place
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class ScatteredSums(Rewrite):
    """Values are added at numbered places of an axis by comparing each number with all places."""

    operators: ClassVar[tuple[str, ...]] = (
        *("scatter_add.default", "scatter_add_.default", "index_add.default", "index_add_.default"),
    )
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where values go to axes of their own length but for this one, and can be compared with all its places."""
        name, onto = str(node.target).removeprefix("aten."), argument(node, 0, "self", None).meta["val"]
        index, axis = argument(node, 2, "index", None).meta["val"], argument(node, 1, "dim", 0)
        if name.startswith("index_add"):
            return in_place(name, _added_whole) if onto.dim() and comparable(onto, axis, index) else None
        values = argument(node, 3, "src", None).meta["val"]
        others = [onto.shape[k] == index.shape[k] for k in range(onto.dim()) if k != axis % max(onto.dim(), 1)]
        fits = onto.dim() and all(others) and values.shape == index.shape and comparable(onto, axis, index)
        return in_place(name, _added) if fits else None


def _added(onto: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    found = hits(onto, dim, index).to(src.dtype)
    return onto + (found * src.movedim(dim, -1).unsqueeze(-2)).sum(-1).movedim(-1, dim)


def _added_whole(onto: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """With one number for all that stands at a place of the axis."""
    found = hits(onto, dim, index).to(source.dtype)
    return onto + alpha * (source.movedim(dim, -1) @ found.mT).movedim(-1, dim)
