"""Operators that move values about, on complex numbers of which both parts lie in a last axis: they count axes anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import fx

    Change = Callable[[list[Any], int], list[Any]]


def _axes(*places: int, made: int = 0) -> Change:
    """Of axes, or lists of them, in these arguments; `made` for one more axis behind the operator than before it."""

    def change(arguments: list[Any], rank: int) -> list[Any]:
        for place in places:
            if place < len(arguments):
                arguments[place] = _counted(arguments[place], rank + made)
        return arguments

    return change


def _counted(axes: Any, rank: int) -> Any:
    """From the front: from behind there is one axis more."""
    if isinstance(axes, Sequence):
        return [_counted(axis, rank) for axis in axes]
    return axes % rank


def _longer(*more: int) -> Change:
    """Of a shape or list of axes in the second argument, which gets so much at its end."""

    def change(arguments: list[Any], rank: int) -> list[Any]:
        return [arguments[0], [*arguments[1], *more], *arguments[2:]]

    return change


def _permuted(arguments: list[Any], rank: int) -> list[Any]:
    return [arguments[0], [*_counted(arguments[1], rank), rank], *arguments[2:]]


def _padded(arguments: list[Any], rank: int) -> list[Any]:
    return [arguments[0], [0, 0, *arguments[1]], *arguments[2:]]


def _flat(arguments: list[Any], rank: int) -> list[Any]:
    first, last = (arguments[1] if len(arguments) > 1 else 0), (arguments[2] if len(arguments) > 2 else -1)
    return [arguments[0], first % rank, last % rank]


def _shifted(arguments: list[Any], rank: int) -> list[Any]:
    axes = arguments[1] if len(arguments) > 1 and arguments[1] is not None else [*range(rank)]
    return [arguments[0], _counted(axes, rank)]


def _same(arguments: list[Any], rank: int) -> list[Any]:
    return arguments


CHANGES: Mapping[str, Change] = {
    **dict.fromkeys(("view.default", "reshape.default", "expand.default"), _longer(2)),
    "repeat.default": _longer(1),
    "permute.default": _permuted,
    "flatten.using_ints": _flat,
    **dict.fromkeys(("slice.Tensor", "select.int", "squeeze.dim", "unbind.int", "flip.default"), _axes(1)),
    **dict.fromkeys(("cat.default", "narrow.default", "index_select.default", "squeeze.dims"), _axes(1)),
    **dict.fromkeys(("sum.dim_IntList", "mean.dim", "unflatten.int"), _axes(1)),
    **dict.fromkeys(("transpose.int", "movedim.int", "movedim.intlist", "swapaxes.default"), _axes(1, 2)),
    **dict.fromkeys(("roll.default", "chunk.default", "split.Tensor", "split_with_sizes.default"), _axes(2)),
    **dict.fromkeys(("slice_scatter.default", "select_scatter.default"), _axes(2)),
    **dict.fromkeys(("unsqueeze.default", "stack.default"), _axes(1, made=1)),
    **dict.fromkeys(("fft_fftshift.default", "fft_ifftshift.default"), _shifted),
    "constant_pad_nd.default": _padded,
    **dict.fromkeys(("clone.default", "contiguous.default", "detach.default", "alias.default"), _same),
    **dict.fromkeys(("copy_.default", "resolve_conj.default", "lift_fresh_copy.default"), _same),
}
_AS_MANY_AXES = {"roll.default": 3}  # without axes it is of all values in a row


def moved(node: fx.Node, rank: int) -> Callable[..., Any] | None:
    """The operator on the longer tensors; None where it is none of these, or goes over all axes at once."""
    name = str(node.target).removeprefix("aten.")
    change: Change | None = CHANGES.get(name)
    if change is None or len(node.args) < _AS_MANY_AXES.get(name, 0) or node.kwargs.keys() - {"memory_format"}:
        return None
    operator: Any = node.target
    return lambda *arguments, **_: operator(*change([*arguments], rank))
