"""Writing into a value and into what it is a part of, as operators that give new ones.

A graph can only be reasoned about when a value never changes. What shows the same memory another way (a slice, a view)
changes with it, so it is made anew behind the write where something reads it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.operators import operator
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import fx

# What a part is written back by: operators that take the whole, the part and the arguments that cut it out.
_SCATTERING = {"select": "select_scatter", "slice": "slice_scatter", "diagonal": "diagonal_scatter"}
_RESHAPING = {
    *("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"),
    *("contiguous", "to", "detach", "alias", "type_as", "float", "expand_as", "lift_fresh"),
}
_ITS_OWN_INVERSE = {"transpose", "t", "swapaxes", "swapdims", "numpy_T", "mT"}
# What changes how a value is shown and not its memory, so that nothing else shows it otherwise.
_TURNING = {"detach_", "squeeze_", "unsqueeze_", "transpose_", "t_", "swapaxes_", "swapdims_"}
# What PyTorch calls a view while it traces, and copies: numbers that code writes down.
_COPYING = {"lift_fresh_copy"}


def without(graph: fx.GraphModule) -> None:
    """`relu_` becomes `relu`, and what reads the written memory behind it reads the new values.

    UsageError where the memory is shown in a way that is not known, with the operator's name.
    """
    fresh: set[fx.Node] = set()
    for node in [*graph.graph.nodes]:
        if _writes(node):
            turns = operator(node) in _TURNING
            node.target = _functional(node)
            if turns:
                _read_behind(node, {node.args[0]: node}, {node})
            else:
                fresh |= {node, *_made_anew(node, fresh | {node})}
    _without_copies(graph)


def _without_copies(graph: fx.GraphModule) -> None:
    """What `copy` gives (of `copy_`, `y[:, 0] = x`) is its second argument as long as its first; it has no gradient."""
    import torch

    aten = torch.ops.aten
    for node in graph.graph.find_nodes(op="call_function", target=aten.copy.default):
        whole, part = node.args[:2]
        dtype = node.meta["val"].dtype
        if part.meta["val"].dtype != dtype:
            with graph.graph.inserting_before(node):
                value = part.meta["val"]
                part = graph.graph.call_function(aten.to.dtype, (part, dtype))
                part.meta["val"] = value.to(dtype)
        node.target, node.args, node.kwargs = aten.expand_as.default, (part, whole), {}


def _writes(node: fx.Node) -> bool:
    name = operator(node)
    return name.endswith("_") and not name.endswith("__") and node.target._schema.is_mutable  # type: ignore[union-attr]


def _functional(node: fx.Node) -> Any:
    """The operator that gives what this one writes: of the same arguments, under whichever name of an overload."""
    import torch

    packet = getattr(torch.ops.aten, operator(node)[:-1])
    overloads = [getattr(packet, name) for name in packet.overloads()]
    types = _types(node.target)
    alike = [each for each in overloads if _types(each) == types and not each._schema.is_mutable]
    if not alike:
        raise UsageError(f"the model cannot be traced: nothing computes what {operator(node)!r} writes", key="builder")
    return alike[0]


def _types(overload: Any) -> list[str]:
    return [str(argument.type) for argument in overload._schema.arguments]


def _made_anew(write: fx.Node, fresh: set[fx.Node]) -> list[fx.Node]:
    """What the written value is a part of and all that shows it, behind the write; the nodes that were made."""
    written: Any = write.args[0]
    new: dict[fx.Node, fx.Node] = {written: write}
    made: list[fx.Node] = []

    def call(like: fx.Node, function: Any, *arguments: Any, **named: Any) -> None:
        with write.graph.inserting_before(place):
            new[like] = write.graph.call_function(function, arguments, named)
        new[like].meta = dict(like.meta)
        made.append(new[like])

    place = write.next
    part = written
    while (whole := _shown(part, fresh)) is not None:
        call(whole, *_written_back(part, whole, new[part]))
        part = whole
    wholes = [*made]
    for node in _before(write):
        shown = _shown(node, fresh)
        if node not in new and shown in new and any(write < user for user in _readers(node, fresh)):
            call(node, node.target, new[shown], *node.args[1:], **node.kwargs)
    _read_behind(write, new, {*made})
    return wholes


def _read_behind(write: fx.Node, new: Mapping[Any, fx.Node], mine: set[fx.Node]) -> None:
    """Let all that comes behind a write, and is not `mine`, read the new values in the place of the old ones."""
    for old, now in new.items():
        old.replace_all_uses_with(now, delete_user_cb=lambda user: write < user and user not in mine)


def _before(write: fx.Node) -> Iterator[fx.Node]:
    for node in [*write.graph.nodes]:
        if node is write:
            return
        yield node


def _readers(node: fx.Node, fresh: set[fx.Node]) -> Iterator[fx.Node]:
    """All that read a value or what shows it."""
    for user in node.users:
        yield user
        if _shown(user, fresh) is node:
            yield from _readers(user, fresh)


def _shown(node: fx.Node, fresh: set[fx.Node]) -> fx.Node | None:
    """The value whose memory a node shows another way; None for one that has its own."""
    from torch import fx

    own = node.op != "call_function" or node in fresh or operator(node) in _COPYING
    first = node.args[0] if node.args and not own else None
    return first if isinstance(first, fx.Node) and _memory(node) & _memory(first) else None


def _memory(node: fx.Node) -> set[int]:
    """Which memory a node's tensors lie in."""
    from torch import Tensor

    value: Any = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else [value]
    return {one.untyped_storage()._cdata for one in values if isinstance(one, Tensor)}


def _written_back(part: fx.Node, whole: fx.Node, value: fx.Node) -> tuple[Any, ...]:
    """An operator and its arguments that give the whole with a new value in the place of a part."""
    import torch

    aten, name, more = torch.ops.aten, operator(part), part.args[1:]
    if name in _SCATTERING:
        return (getattr(aten, _SCATTERING[name]).default, whole, value, *more)
    if name == "narrow" and all(isinstance(one, int) for one in more):
        dim, start, length = more
        return aten.slice_scatter.default, whole, value, dim, start, start + length  # type: ignore[operator]
    if name in _RESHAPING:
        return aten.reshape_as.default, value, whole
    if name in _ITS_OWN_INVERSE:
        return (part.target, value, *more)
    if name == "permute":
        order: Any = more[0]
        axes = [axis % len(order) for axis in order]
        return aten.permute.default, value, [axes.index(axis) for axis in range(len(axes))]
    if name == "movedim":
        return part.target, value, more[1], more[0]
    message = f"the model cannot be traced: its code writes into what {name!r} shows of a value"
    raise UsageError(message, key="builder", hint="write into a copy: add .clone() before it")
