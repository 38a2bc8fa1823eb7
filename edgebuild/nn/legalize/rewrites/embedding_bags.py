"""Rows of a table that are summed, averaged or compared in bags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_SUM, _MEAN, _MAX = range(3)


class EmbeddingBags(Rewrite):
    """Bags of one size are looked up row by row, and reduced over an axis of their own."""

    operators: ClassVar[tuple[str, ...]] = ("embedding_bag.padding_idx", "embedding_bag.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where the bags are the rows of a matrix, as they are counted off in steps of one size."""
        numbers, offsets = argument(node, 1, "indices", None), argument(node, 2, "offsets", None)
        if str(offsets.target) != "aten.arange.start_step":
            return None
        size, count = argument(offsets, 2, "step", 1), offsets.meta["val"].shape[0]
        if numbers.meta["val"].shape[0] != size * count or argument(node, 7, "include_last_offset", False):
            return None
        mode, padding = argument(node, 4, "mode", _SUM), argument(node, 8, "padding_idx", None)

        def reduced(weight: Tensor, indices: Tensor, *others: Any, **named: Any) -> tuple[Tensor, ...]:
            scales: Tensor | None = named.get("per_sample_weights", others[4] if len(others) > 4 else None)
            bags = indices.reshape(count, size)
            return (_bags(weight, bags, mode, scales, padding), indices, indices, indices)  # those are not read

        only_first = all(user.args[1:] == (0,) or not user.users for user in node.users)  # the others are for gradients
        return reduced if only_first else None


def _bags(weight: Tensor, bags: Tensor, mode: int, scales: Tensor | None, padding: int | None) -> Tensor:
    """[bags, columns]; a bag of padding alone is 0."""
    import torch
    from torch.nn import functional

    rows = functional.embedding(bags, weight)
    if scales is not None:
        rows = rows * scales.reshape(*bags.shape, 1)
    if padding is None:
        return rows.sum(1) if mode == _SUM else rows.mean(1) if mode == _MEAN else rows.amax(1)
    real = (bags != padding).unsqueeze(-1)
    count = real.to(rows.dtype).sum(1)
    if mode == _MAX:
        least = torch.where(real, rows, rows.amin(1, keepdim=True)).amax(1)
        return torch.where(count > 0, least, torch.zeros_like(least))
    total = (rows * real.to(rows.dtype)).sum(1)
    return total if mode == _SUM else total / count.clamp(min=1)
