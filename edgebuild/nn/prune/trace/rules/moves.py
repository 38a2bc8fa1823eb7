"""Operators that only move data: run on tensors of channel numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgebuild.nn.prune.trace.call import Call, Rule
from edgebuild.nn.prune.trace.value import Value, moved

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.nn.prune.trace.numbers import Ids


def _run(call: Call, value: Value, run: Callable[[Tensor], Any]) -> list[Value]:
    return moved(call.numbers, value, run, call.where)


def _first(call: Call) -> tuple[Value, Callable[[Tensor], Any]]:
    """The operator's only tensor, and the operator as a function of it."""
    name = next(name for name, value in call.arguments.items() if isinstance(value, Value))
    rest = {key: value for key, value in call.arguments.items() if key != name}
    value = call.arguments[name]

    def run(table: Tensor) -> Any:
        return call.target(**{name: table}, **rest)

    return value, run


def move(call: Call) -> list[Value]:
    """Permute, squeeze, flip, roll, im2col and their like."""
    value, run = _first(call)
    return _run(call, value, run)


def view(call: Call) -> list[Value]:
    """A view tells its sizes."""
    results = move(call)
    for axis in results[0].axes:
        call.sized(axis)
    return results


def expand(call: Call) -> list[Value]:
    """What is repeated along an axis of one may be repeated less often."""
    value, run = _first(call)
    (result,) = _run(call, value, run)
    axes = list(result.axes)
    more = len(axes) - len(value.axes)
    for place, axis in enumerate(axes):
        if len(axis) > 1 and (place < more or len(value.axes[place - more]) == 1):
            axes[place] = call.numbers.fresh(len(axis))
        call.sized(axes[place])
    return [Value(tuple(axes))]


def pad(call: Call) -> list[Value]:
    """Constants fill in; else borders repeat what is there."""
    from torch.nn import functional

    value, amounts, mode = call.arguments["self"], call.arguments["pad"], call.arguments.get("mode", "constant")
    fill = {"value": 0.0} if mode == "constant" else {}
    return _run(call, value, lambda table: functional.pad(table, amounts, mode, **fill))


def pieces(call: Call) -> list[Value]:
    """split, and slices of equal length: what stands at the same place of each piece goes together."""
    value: Value = call.arguments["self"]
    dim = call.arguments["dim"] % len(value.axes)
    ids, results = value.axes[dim], move(call)
    lengths = {len(result.axes[dim]) for result in results}
    if call.name == "slice":
        _sliced(call, ids, len(results[0].axes[dim]))
    elif len(lengths) == 1:
        _coupled(call, ids, lengths.pop())
    for result in results:
        call.sized(result.axes[dim])
    call.sized(ids)  # of which code may reckon that of a piece: `split(x, self.width // 2, 1)`
    return results


def _coupled(call: Call, ids: Ids, length: int) -> None:
    for start in range(length, len(ids), length):
        call.unite(ids[:length], ids[start : start + length])


def _sliced(call: Call, ids: Ids, length: int) -> None:
    """Both ends are sizes too; steps take one of each few."""
    start, end, step = (call.arguments.get(name) for name in ("start", "end", "step"))
    start, end, step = start or 0, len(ids) if end is None else min(end, len(ids)), step or 1
    start, end = start % len(ids) if start < 0 else start, end % len(ids) if end < 0 else end
    if length == len(ids) or call.numbers.all_protected(ids):
        return
    if step > 1:
        for shift in range(1, step):
            other = ids[shift::step]
            call.unite(ids[::step][: len(other)], other)
    elif length and len(ids) % length == 0 and start % length == 0:
        _coupled(call, ids, length)
    call.sized(ids[:start])
    call.sized(ids[:end])


def cat(call: Call) -> list[Value]:
    """One axis is put behind another; on all others they lose the same."""
    import numpy as np

    every = [value for value in call.arguments["tensors"] if value.shape != (0,)]
    dim = call.arguments["dim"] % len(every[0].axes)
    axes = [
        np.concatenate([value.axes[dim] for value in every]) if k == dim else ids for k, ids in enumerate(every[0].axes)
    ]
    for value in every[1:]:
        for k, ids in enumerate(value.axes):
            if k != dim:
                call.unite(axes[k], ids)
    return [Value(tuple(axes))]


def stack(call: Call) -> list[Value]:
    """A new axis, of as many places as there are tensors."""
    every = call.arguments["tensors"]
    dim = call.arguments["dim"] % (len(every[0].axes) + 1)
    axes = list(every[0].axes)
    for value in every[1:]:
        for ours, theirs in zip(axes, value.axes, strict=True):
            call.unite(ours, theirs)
    axes.insert(dim, call.made(len(every)))
    return [Value(tuple(axes))]


def slice_scatter(call: Call) -> list[Value]:
    """A part is written over: what stands at a place goes with what is written there."""
    whole, part = call.arguments["self"], call.arguments["src"]
    dim = call.arguments["dim"] % len(whole.axes)
    start, end, step = call.arguments.get("start") or 0, call.arguments.get("end"), call.arguments.get("step") or 1
    call.unite(whole.axes[dim][slice(start, end, step)], part.axes[dim])
    for k, ids in enumerate(part.axes):
        if k != dim:
            call.unite(whole.axes[k], ids)
    return [Value(whole.axes)]


def select_scatter(call: Call) -> list[Value]:
    """One place of an axis is written over."""
    whole, part = call.arguments["self"], call.arguments["src"]
    dim = call.arguments["dim"] % len(whole.axes)
    for ours, theirs in zip((ids for k, ids in enumerate(whole.axes) if k != dim), part.axes, strict=True):
        call.unite(ours, theirs)
    return [Value(whole.axes)]


def scattered(call: Call) -> list[Value]:
    """Along one axis anything may be written over; the others go with those of what is written there."""
    whole, dim = call.arguments["self"], call.arguments["dim"] % len(call.shapes[0])
    call.protect(whole.axes[dim], "writes to what is found at run time")
    for other in call.values():
        beside = len(other.axes) == len(whole.axes) and other is not whole
        for k, ids in enumerate(other.axes if other is not whole else ()):
            if beside and k != dim and len(ids) == len(whole.axes[k]):
                call.unite(whole.axes[k], ids)
            else:
                call.protect(ids)
                call.protect(whole.axes[k] if beside else ids)
    return [Value(whole.axes)]


def pixel_shuffle(call: Call) -> list[Value]:
    """Channels become places: whole squares of them go together."""
    value, factor = call.arguments["self"], call.arguments["upscale_factor"]
    *lead, high, wide = value.shape
    *batch, many = lead
    (apart,) = moved(
        call.numbers, value, lambda t: t.reshape(*batch, many // factor**2, factor, factor, high, wide), call.where
    )
    for axis in apart.axes[-4:-2]:
        call.protect(axis, "makes places of them")
    return [Value((*apart.axes[:-4], *map(call.places, call.shapes[0][-2:])))]


def index(call: Call) -> list[Value]:
    """Constant indices are run; others may take anything from the axes that they index."""
    value, indices = call.arguments["self"], call.arguments["indices"]
    if all(one is None or one.constant is not None for one in indices):
        constants = [None if one is None else one.constant for one in indices]
        return _run(call, value, lambda table: call.target(table, constants))
    taken = [k for k, one in enumerate(indices) if one is not None]
    for k in taken:
        call.protect(value.axes[k], "takes what is found at run time")
    for one in indices:
        for ids in one.axes if one is not None else ():
            call.protect(ids)
    behind = len(value.axes) - taken[-1] - 1
    axes = [call.made(size) for size in call.shapes[0]]
    if taken == [*range(taken[0], taken[-1] + 1)]:
        axes[: taken[0]] = value.axes[: taken[0]]
        axes[len(axes) - behind :] = value.axes[len(value.axes) - behind :]
    else:
        for ids in value.axes:
            call.protect(ids)
    return [Value(tuple(axes))]


def index_select(call: Call) -> list[Value]:
    """As index, along one axis."""
    value, where, dim = call.arguments["self"], call.arguments["index"], call.arguments["dim"]
    if where.constant is not None:
        return _run(call, value, lambda table: call.target(table, dim, where.constant))
    axes = list(value.axes)
    dim %= len(axes)
    call.protect(axes[dim], "takes what is found at run time")
    axes[dim] = call.made(call.shapes[0][dim])
    return [Value(tuple(axes))]


def gather(call: Call) -> list[Value]:
    """Along one axis anything may be taken; the others go with those of the index."""
    value, where, dim = call.arguments["self"], call.arguments["index"], call.arguments["dim"] % len(call.shapes[0])
    call.protect(value.axes[dim], "takes what is found at run time")
    for k, (ours, theirs) in enumerate(zip(value.axes, where.axes, strict=True)):
        if k == dim:
            continue
        if len(ours) == len(theirs):
            call.unite(ours, theirs)
        else:
            call.protect(ours)
            call.protect(theirs)
    return [Value(where.axes)]


def factory(call: Call) -> list[Value]:
    """Of what the code fills with one number, there may be less."""
    axes = tuple(call.numbers.fresh(size) for size in call.shapes[0])
    for axis in axes:
        call.sized(axis)
    return [Value(axes)]


_MOVES = (
    "permute transpose t numpy_T squeeze squeeze_ unsqueeze flip roll select unbind diagonal as_strided im2col"
    " movedim swapaxes pixel_unshuffle channel_shuffle rot90 unfold tile repeat_interleave"
    " reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d reflection_pad3d replication_pad3d"
)
RULES: dict[str, Rule] = {
    **dict.fromkeys(_MOVES.split(), move),
    **dict.fromkeys(["view", "_unsafe_view", "reshape", "flatten", "unflatten", "_reshape_alias", "repeat"], view),
    **dict.fromkeys(["slice", "split", "split_with_sizes", "chunk", "narrow"], pieces),
    **dict.fromkeys(["zeros", "ones", "full", "empty", "new_zeros", "new_ones", "new_full", "new_empty"], factory),
    **dict.fromkeys(["cat", "concat", "concatenate"], cat),
    "expand": expand,
    "pad": pad,
    "constant_pad_nd": pad,
    "stack": stack,
    **dict.fromkeys(["scatter", "scatter_add", "scatter_reduce", "index_add", "index_copy", "index_fill"], scattered),
    "slice_scatter": slice_scatter,
    "select_scatter": select_scatter,
    "pixel_shuffle": pixel_shuffle,
    "index": index,
    "index_select": index_select,
    "gather": gather,
}
