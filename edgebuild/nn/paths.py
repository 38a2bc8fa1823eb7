"""Follows channels to the layers that read them, through operators that a scale per channel passes unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.graph import Layer
from edgebuild.nn.operators import operator

if TYPE_CHECKING:
    from torch import Tensor, fx

# f(s·x) = s·f(x) for s > 0, value by value.
_HOMOGENEOUS = {"relu", "leaky_relu", "prelu", "dropout", "clone", "contiguous", "alias"}
# The same over the last axes, within each channel.
_POOLS = {
    *("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """A layer that takes channels as its inputs; each has become `repeat` inputs (a flattened picture)."""

    layer: Layer
    repeat: int

    def most(self, weight: Tensor) -> Tensor:
        """The largest |w| that multiplies each channel: [channels]."""
        kind, groups = operator(self.layer.node), self.layer.groups
        if kind == "linear":
            return weight.abs().amax(0).view(-1, self.repeat).amax(1)
        if kind.startswith("conv_transpose"):
            return weight.abs().flatten(1).amax(1)
        by_group = weight.abs().flatten(2).amax(2).view(groups, -1, weight.shape[1])
        return by_group.amax(1).flatten()

    def spread(self, scales: Tensor, weight: Tensor) -> Tensor:
        """One factor a channel, in a shape that multiplies the weight."""
        kind, groups = operator(self.layer.node), self.layer.groups
        rest = [1] * (weight.ndim - 2)
        if kind == "linear":
            return scales.repeat_interleave(self.repeat)[None]
        if kind.startswith("conv_transpose"):
            return scales.view(-1, 1, *rest)
        each = scales.view(groups, 1, weight.shape[1]).expand(-1, weight.shape[0] // groups, -1)
        return each.reshape(weight.shape[0], weight.shape[1], *rest)


def readers(start: fx.Node, axis: int, known: list[Layer]) -> list[Reader]:
    """All layers that read the channels on this axis of a node's output; none when anything else reads them too."""
    reached = _follow(start, axis % start.meta["val"].ndim, 1, {layer.node: layer for layer in known})
    return reached or []


def _follow(node: fx.Node, axis: int, repeat: int, known: dict[fx.Node, Layer]) -> list[Reader] | None:
    reached: list[Reader] = []
    for user in node.users:
        if user in known and user.args[0] is node and user.all_input_nodes.count(node) == 1:
            more = [Reader(known[user], repeat)] if axis == _input_axis(user) else None
        else:
            place = _passed(user, axis) if user.args and user.args[0] is node else None
            more = None if place is None else _follow(user, place[0], repeat * place[1], known)
        if more is None:
            return None
        reached += more
    return reached or None


def _input_axis(layer: fx.Node) -> int:
    source: Any = layer.args[0]
    return int(source.meta["val"].ndim) - 1 if operator(layer) == "linear" else 1


def _passed(node: fx.Node, axis: int) -> tuple[int, int] | None:
    """(axis, repetitions) of the channels behind a node that keeps them apart; None for any other node."""
    kind, arguments = operator(node), node.args[1:]
    source: Any = node.args[0]
    before = tuple(source.meta["val"].shape)
    if kind in _HOMOGENEOUS:
        return axis, 1
    if kind in _POOLS:
        return (axis, 1) if axis == 1 else None
    if kind == "mean":
        return _reduced(node, axis, len(before))
    if kind in ("transpose", "permute"):
        return _moved(kind, arguments, axis, len(before)), 1
    if kind in ("flatten", "view", "reshape"):
        return _flattened(before, tuple(node.meta["val"].shape), axis)
    return None


def _reduced(node: fx.Node, axis: int, ndim: int) -> tuple[int, int] | None:
    dims: Any = node.args[1] if len(node.args) > 1 else None
    if not isinstance(dims, list | tuple) or axis in (gone := {dim % ndim for dim in dims}):
        return None
    keeps = len(node.args) > 2 and bool(node.args[2])
    return axis if keeps else axis - sum(dim < axis for dim in gone), 1


def _moved(kind: str, arguments: Any, axis: int, ndim: int) -> int:
    order = list(range(ndim))
    if kind == "permute":
        order = [dim % ndim for dim in arguments[0]]
    else:
        a, b = (dim % ndim for dim in arguments)
        order[a], order[b] = order[b], order[a]
    return order.index(axis)


def _flattened(before: tuple[Any, ...], after: tuple[Any, ...], axis: int) -> tuple[int, int] | None:
    """Channels that come before what they are joined with become blocks; those that nothing is joined with stay."""
    if before[: axis + 1] == after[: axis + 1]:
        return axis, 1
    if len(after) == axis + 1 and before[:axis] == after[:axis]:
        repeat = 1
        for size in before[axis + 1 :]:
            repeat *= int(size)
        return axis, repeat
    if axis == len(before) - 1 and before[-1] == after[-1]:
        return len(after) - 1, 1
    return None
