"""Puts one convolution in the place of several that read the same values and whose results are added.

Networks with branches for training alone (Ding et al. 2021, "RepVGG"; Vasu et al. 2023, "MobileOne") are meant to be
merged before they are used, and whoever loads their checkpoint easily forgets it. A convolution, one with a batch norm
behind it, a batch norm, and the values themselves are all linear, so the sum of the kernels is the kernel of the sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebuild.nn.legalize.geometry import argument, each

if TYPE_CHECKING:
    from torch import Tensor, fx
    from torch.export import ExportedProgram

_SUMS = ("add.Tensor", "add_.Tensor")
_CONVOLUTIONS = ("conv1d.default", "conv2d.default", "conv3d.default")
_NORM = "batch_norm.default"


class _Geometry(NamedTuple):
    strides: tuple[int, ...]
    paddings: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int


@dataclass(frozen=True, slots=True)
class _Branch:
    """One summand: what it reads, and its convolution and batch norm where it has them."""

    reads: fx.Node
    convolution: fx.Node | None
    norm: fx.Node | None

    @property
    def end(self) -> fx.Node:
        return self.norm or self.convolution or self.reads


def merge(program: ExportedProgram) -> tuple[str, ...]:
    """The layers in which branches became one convolution; the program's graph and weights are changed in place."""
    values = _values(program)
    merged = [name for node in [*program.graph.nodes] if _summed(node) for name in _merge(node, values, program)]
    if merged:
        program.graph.eliminate_dead_code()
        program.graph_module.recompile()
    return tuple(merged)


def _merge(top: fx.Node, values: dict[str, str], program: ExportedProgram) -> Iterator[str]:
    """The layers into which branches of a whole sum go."""
    branches = [_branch(leaf, values) for leaf in _leaves(top)]
    gone: list[_Branch] = []
    for reads in dict.fromkeys(one.reads for one in branches):
        together = [one for one in branches if one.reads is reads]
        main = max(together, key=lambda one: _weight(one, values, program).numel() if one.convolution else 0)
        if main.convolution is None or not _room(main):
            continue
        kernel, bias = _linear(main, values, program)
        inside = {one.end: _inside(one, main, values, program) for one in together if one is not main}
        able = {end: linear for end, linear in inside.items() if linear is not None}
        for more, summand in able.values():
            kernel, bias = kernel + more, bias + summand
        if able:
            _store(main, kernel, bias, values, program)
            gone += [one for one in together if one.end in able]
            yield str([*(main.convolution.meta.get("nn_module_stack") or {"": ("", None)}).values()][-1][0])
    if gone:
        _sum_of(top, [one.end for one in branches if one not in gone])


def _leaves(node: fx.Node) -> list[fx.Node]:
    """What a tree of sums adds; a number that is added is none."""
    summands = node.all_input_nodes
    return [leaf for one in summands for leaf in (_leaves(one) if _inner(one) else [one])]


def _sum_of(top: fx.Node, left: Sequence[fx.Node]) -> None:
    """What reads a whole sum reads that of these, in its place."""
    total = left[0]
    for one in left[1:]:
        with top.graph.inserting_before(top):
            added = top.graph.call_function(_aten().add.Tensor, (total, one))
        added.meta, total = dict(top.meta), added
    top.replace_all_uses_with(total)
    _erase(top)


def _erase(node: fx.Node) -> None:
    """A sum, and those that only it has read: one that writes into a summand is never taken for useless."""
    within = [one for one in node.all_input_nodes if _inner(one)]
    node.graph.erase_node(node)
    for one in within:
        _erase(one)


def _aten() -> Any:
    import torch

    return torch.ops.aten


def _kind(node: fx.Node) -> str:
    return str(node.target).removeprefix("aten.") if node.op == "call_function" else ""


def _adds(node: fx.Node) -> bool:
    """Whether it is a sum of two values of one shape, or of one and 0, and writes into nothing that others read."""
    if _kind(node) not in _SUMS or argument(node, 2, "alpha", 1) != 1:
        return False
    summands, written = node.all_input_nodes, _kind(node) == "add_.Tensor"
    numbers = [value for value in node.args[:2] if isinstance(value, int | float)]
    shapes = {str(getattr(one.meta.get("val"), "shape", ())) for one in summands}  # sizes may be symbols
    whole = len(shapes) == 1 and len(summands) + len(numbers) == 2 and not any(numbers)
    return whole and not (written and len(node.args[0].users) > 1)  # type: ignore[union-attr]


def _inner(node: fx.Node) -> bool:
    """Whether a sum is read by another sum alone."""
    return _adds(node) and len(node.users) == 1


def _summed(node: fx.Node) -> bool:
    """Whether it is a whole sum."""
    return _adds(node) and not (_inner(node) and _adds(next(iter(node.users))))


def _branch(leaf: fx.Node, values: dict[str, str]) -> _Branch:
    """What a summand is made of, as far as nobody else reads what is within."""
    norm = leaf if _alone(leaf, values) and _kind(leaf) == _NORM and not argument(leaf, 5, "training", False) else None
    within: Any = norm.args[0] if norm is not None else leaf
    convolution = within if _alone(within, values) and _kind(within) in _CONVOLUTIONS else None
    reads: Any = convolution.args[0] if convolution is not None else within
    return _Branch(reads, convolution, norm)


def _alone(node: fx.Node, values: dict[str, str]) -> bool:
    """Whether one operator reads it, and no other operator reads its weights, which are the model's own."""
    stored = node.all_input_nodes[1:]
    return len(node.users) == 1 and all(one.name in values and len(one.users) == 1 for one in stored)


def _values(program: ExportedProgram) -> dict[str, str]:
    """The names of parameters and buffers by those of the placeholders that stand for them; none that is shared."""
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    return {place: name for place, name in names.items() if name in program.state_dict}


def _stored(node: Any, values: dict[str, str], program: ExportedProgram) -> Tensor:
    stored: Tensor = program.state_dict[values[node.name]]
    return stored.detach().double()


def _weight(branch: _Branch, values: dict[str, str], program: ExportedProgram) -> Tensor:
    assert branch.convolution is not None
    return _stored(branch.convolution.args[1], values, program)


def _geometry(branch: _Branch, axes: int) -> _Geometry:
    node = branch.convolution
    if node is None:
        return _Geometry((1,) * axes, (0,) * axes, (1,) * axes, branch.reads.meta["val"].shape[1])
    steps, borders, gaps = (
        each(argument(node, place, name, default), axes)
        for place, name, default in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    )
    return _Geometry(steps, borders, gaps, argument(node, 6, "groups", 1))


def _scale(branch: _Branch, values: dict[str, str], program: ExportedProgram) -> tuple[Tensor, Tensor] | None:
    """Factor and summand of each channel in a batch norm; None without one."""
    import torch

    if branch.norm is None:
        return None
    weight, bias, mean, variance = (
        _stored(one, values, program) if one is not None else None for one in branch.norm.args[1:5]
    )
    assert mean is not None
    assert variance is not None
    factor = (variance + argument(branch.norm, 7, "eps", 1e-5)).rsqrt()
    factor = factor if weight is None else factor * weight
    return factor, (torch.zeros_like(mean) if bias is None else bias) - mean * factor


def _linear(branch: _Branch, values: dict[str, str], program: ExportedProgram) -> tuple[Tensor, Tensor]:
    """The kernel [out, in of a group, …] and bias [out] of a branch, in double precision."""
    import torch

    if branch.convolution is None:
        shape = branch.reads.meta["val"].shape
        kernel = torch.ones(shape[1], 1, *(1 for _ in shape[2:]), dtype=torch.float64)
        bias = None
    else:
        kernel, bias = _weight(branch, values, program), argument(branch.convolution, 2, "bias", None)
    offset = torch.zeros(len(kernel), dtype=torch.float64) if bias is None else _stored(bias, values, program)
    if (scale := _scale(branch, values, program)) is not None:
        factor, summand = scale
        kernel, offset = kernel * factor.reshape(-1, *(1 for _ in kernel.shape[1:])), offset * factor + summand
    return kernel, offset


def _inside(
    branch: _Branch, main: _Branch, values: dict[str, str], program: ExportedProgram
) -> tuple[Tensor, Tensor] | None:
    """A branch as a kernel of the main one's size and groups; None where it does not lie within that."""
    import torch

    whole = torch.zeros_like(_weight(main, values, program))
    if branch.reads.meta["val"].ndim != whole.ndim:  # one picture without a batch
        return None
    kernel, bias = _linear(branch, values, program)
    axes = whole.ndim - 2
    outer, inner = _geometry(main, axes), _geometry(branch, axes)
    sizes = kernel.shape[2:]
    gaps = [gap if size > 1 else wide for gap, wide, size in zip(inner.dilations, outer.dilations, sizes, strict=True)]
    first = [
        divmod(wide - own, gap) for wide, own, gap in zip(outer.paddings, inner.paddings, outer.dilations, strict=True)
    ]
    fits = all(
        not left and at >= 0 and at + size <= most
        for (at, left), size, most in zip(first, sizes, whole.shape[2:], strict=True)
    )
    alike = inner.strides == outer.strides and tuple(gaps) == outer.dilations and not inner.groups % outer.groups
    if not fits or not alike or len(kernel) != len(whole):
        return None
    part = whole
    for axis, ((at, _), size) in enumerate(zip(first, sizes, strict=True)):
        part = part.narrow(2 + axis, at, size)
    per_group, narrow = whole.shape[1], kernel.shape[1]
    of_group, of_narrow = len(whole) // outer.groups, len(kernel) // inner.groups
    for channel in range(len(whole)):  # the inputs of its own group, as they are numbered in the wider one
        start = channel // of_narrow * narrow - channel // of_group * per_group
        part[channel, start : start + narrow] = kernel[channel]
    return whole, bias


def _room(main: _Branch) -> bool:
    """Whether the main branch has where a bias is stored."""
    assert main.convolution is not None
    if main.norm is not None:
        return all(one is not None for one in main.norm.args[1:5])
    return argument(main.convolution, 2, "bias", None) is not None


def _store(main: _Branch, kernel: Tensor, bias: Tensor, values: dict[str, str], program: ExportedProgram) -> None:
    """Into the main branch's weights; a batch norm behind it then adds the bias and changes nothing else."""
    import torch

    assert main.convolution is not None
    changed: dict[Any, Tensor] = {main.convolution.args[1]: kernel}
    own = argument(main.convolution, 2, "bias", None)
    if main.norm is None:
        changed[own] = bias
    else:
        eps, ones = argument(main.norm, 7, "eps", 1e-5), torch.ones_like(bias)
        stay: Sequence[Tensor] = (ones, bias, torch.zeros_like(bias), ones - eps)
        changed |= dict(zip(main.norm.args[1:5], stay, strict=True))
        changed |= {own: torch.zeros_like(bias)} if own is not None else {}
    for place, numbers in changed.items():
        name = values[place.name]
        before = program.state_dict[name]
        fresh = numbers.to(before.dtype).contiguous()
        program.state_dict[name] = (
            torch.nn.Parameter(fresh, requires_grad=False) if isinstance(before, torch.nn.Parameter) else fresh
        )
