"""Values that are put together where numbers say: means, extremes, and sums without what was there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, comparable, hits, in_place
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_KINDS = ("sum", "mean", "amax", "amin")


class ScatteredMeans(Rewrite):
    """`scatter_reduce` compares each number with all places; ONNX has no means, and counts what was there before."""

    operators: ClassVar[tuple[str, ...]] = ("scatter_reduce.two", "scatter_reduce_.two")
    formats: ClassVar[Mapping[str, Trouble]] = {"onnx": "wrong", "tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where values go to axes of their own length but for this one, and can be compared with all its places."""
        onto, index, values = (
            argument(node, place, name, None).meta["val"] for place, name in ((0, "self"), (2, "index"), (3, "src"))
        )
        axis, kind = argument(node, 1, "dim", 0), argument(node, 4, "reduce", "")
        others = [onto.shape[k] == index.shape[k] for k in range(onto.dim()) if k != axis % max(onto.dim(), 1)]
        fits = onto.dim() and all(others) and values.shape == index.shape and comparable(onto, axis, index)
        name = str(node.target).removeprefix("aten.")
        return in_place(name, _reduced) if fits and kind in _KINDS and onto.is_floating_point() else None


def _reduced(onto: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """As torch: a place that no number names keeps what it has."""
    import torch

    found, before = hits(onto, dim, index), onto.movedim(dim, -1)
    values = src.movedim(dim, -1).unsqueeze(-2)
    count = found.to(src.dtype).sum(-1)
    if reduce in ("sum", "mean"):
        total = (found.to(src.dtype) * values).sum(-1) + (before if include_self else 0)
        divisor = count + 1 if include_self else count.clamp(min=1)
        result = total / divisor if reduce == "mean" else total
    else:
        largest = reduce == "amax"
        idle = values.amin(-1, keepdim=True) if largest else values.amax(-1, keepdim=True)
        seen = torch.where(found, values, idle)
        result = seen.amax(-1) if largest else seen.amin(-1)
        if include_self:
            result = torch.maximum(before, result) if largest else torch.minimum(before, result)
    return torch.where(count > 0, result, before).movedim(-1, dim)
