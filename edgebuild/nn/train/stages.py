"""A module in parts, each held by a process of its own: cut where one tensor carries all that is known on.

Each process runs the module's own code. What belongs to another one has parameters on torch's `meta` device, which have
shapes and no memory, so the code before a part gives shapes alone, and nothing behind it is reached. No graph is
traced: whatever forward passes do, but for what looks at values (Huang et al. 2019 for the idea, GPipe).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from edgebuild.nn.answers import listed

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.hooks import RemovableHandle

    Inputs = tuple[Tensor, ...]

_TRIED = 12  # places beside the best one


class CannotCutError(Exception):
    """There is no place where the module can be cut."""


class _Crossed(BaseException):
    """The forward pass has come to where the next part begins; not for the user's code to catch."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


@dataclass(frozen=True, slots=True)
class Part:
    """A module's part between the first calls of two of its sub-modules; None is its beginning, or its end."""

    enters: str | None
    leaves: str | None
    names: frozenset[str]  # of its parameters and buffers


def cut(module: nn.Module, example: Inputs, count: int) -> list[Part]:
    """The module in so many parts of about as many parameters; CannotCutError, with the reason, where there are none.

    Shown by the example [1, …]: the parts, one after the other, answer as the module does, and what one has no other
    one reaches.
    """
    import torch

    training = module.training
    try:
        with torch.no_grad():
            calls = _calls(module.eval(), example)
            return _cut(module, example, count, calls)
    finally:
        module.train(training)


def run(
    module: nn.Module,
    part: Part,
    inputs: Inputs,
    received: Tensor | None = None,
    values: dict[str, Tensor] | None = None,
) -> Inputs:
    """What a part answers: the tensor that goes on to the next one, or the module's own answers.

    `inputs` are those of the whole, on `meta` for all but the first part; `received` is what the part before gave;
    `values` take the place of parameters and buffers by name.
    """
    from torch.func import functional_call

    handles = [*_enter(module, part, received), *_leave(module, part)]
    try:
        return listed(module(*inputs) if values is None else functional_call(module, values, inputs))
    except _Crossed as crossed:
        return (crossed.tensor,)
    finally:
        for handle in handles:
            handle.remove()


def crossings(module: nn.Module, parts: Sequence[Part], inputs: Inputs) -> list[Inputs]:
    """What each part answers to such inputs, as shapes on `meta`: nothing is computed."""
    import torch

    every = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors(module).items()}
    answers: list[Inputs] = []
    training = module.training
    module.eval()
    with torch.no_grad():
        for part in parts:
            answers.append(run(module, part, shapes(inputs), answers[-1][0] if answers else None, every))
    module.train(training)
    return answers


def drop(module: nn.Module, part: Part) -> None:
    """Give back the memory of all that is no part of it."""
    import torch
    from torch import nn

    gone: dict[int, Tensor] = {}
    for name, tensor in tensors(module).items():
        if name not in part.names:
            empty = torch.empty_like(tensor, device="meta")
            parameter = isinstance(tensor, nn.Parameter)
            shape = nn.Parameter(empty, requires_grad=False) if parameter else empty
            put(module, name, gone.setdefault(id(tensor), shape))


def put(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Have a parameter or a buffer in the place of the one of this name."""
    from torch import nn

    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    if isinstance(tensor, nn.Parameter):
        owner._parameters[leaf] = tensor
    else:
        owner._buffers[leaf] = tensor


def tensors(module: nn.Module) -> dict[str, Any]:
    """All parameters and buffers by name; one that is shared under each of its names."""
    every = dict(module.named_parameters(remove_duplicate=False))
    return every | dict(module.named_buffers(remove_duplicate=False))


def shapes(inputs: Inputs) -> Inputs:
    """The same on `meta`: what the code before a part is run on."""
    import torch

    return tuple(torch.empty_like(tensor, device="meta") for tensor in inputs)


def _calls(module: nn.Module, example: Inputs) -> list[tuple[str, bool]]:
    """The sub-modules in the order of their first calls, and whether each takes exactly one tensor of floats then."""
    import torch

    order: dict[str, bool] = {}

    def note(name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        tensors = [one for one in (*args, *kwargs.values()) if isinstance(one, torch.Tensor)]
        alone = len(tensors) == 1 and bool(args) and args[0] is tensors[0]
        order.setdefault(name, alone and tensors[0].is_floating_point())

    handles = [
        each.register_forward_pre_hook(lambda _, args, kwargs, name=name: note(name, args, kwargs), with_kwargs=True)
        for name, each in module.named_modules()
        if name
    ]
    try:
        module(*example)
    finally:
        for handle in handles:
            handle.remove()
    return [*order.items()]


def _cut(module: nn.Module, example: Inputs, count: int, calls: Sequence[tuple[str, bool]]) -> list[Part]:
    """The places nearest to equal shares of the parameters for which the proof holds."""
    place = {name: number for number, (name, _) in enumerate(calls)}
    reads = _reads(module, place)
    owned = {name: reads.get(name, _first_call(name, place)) for name in tensors(module)}
    sizes = {name: tensor.numel() for name, tensor in module.named_parameters()}
    before = [sum(size for name, size in sizes.items() if owned[name] < k) for k in range(len(calls))]
    total, reasons = sum(sizes.values()), list[str]()
    possible = [k for k, (_, alone) in enumerate(calls) if alone and 0 < before[k] < total]
    for places in _candidates(possible, before, total, count):
        parts = _parts([calls[k][0] for k in places], places, owned)
        try:
            _prove(module, example, parts)
        except Exception as error:  # the module's own code runs, on tensors that it was not written for
            reasons.append(" ".join(str(error).split())[:200])
        else:
            return parts
    reason = f": {reasons[0]}" if reasons else ""
    raise CannotCutError(f"there is no place where one tensor carries all from a part to the next{reason}")


def _candidates(places: list[int], before: list[int], total: int, count: int) -> Iterator[list[int]]:
    """Sets of places by how near they come to equal shares: all cuts at their best, then each with the next best."""
    ranked = [
        sorted(places, key=lambda k, goal=total * part / count: abs(before[k] - goal))[:_TRIED]  # type: ignore[misc]
        for part in range(1, count)
    ]
    for rank in range(max(map(len, ranked), default=0)):
        chosen = [each[min(rank, len(each) - 1)] for each in ranked if each]
        if len(chosen) == count - 1 and all(before[a] < before[b] for a, b in pairwise(chosen)):
            yield chosen


def _first_call(name: str, place: Mapping[str, int]) -> int:
    """When the owner of a tensor is first called, or where it never is, what it is in; the module itself is first."""
    path = name.rpartition(".")[0]
    while path and path not in place:
        path = path.rpartition(".")[0]
    return place.get(path, -1)


def _reads(module: nn.Module, place: Mapping[str, int]) -> dict[str, int]:
    """Of a graph, whose operators read tensors that no sub-module does: behind which call each is first needed."""
    from torch import fx

    last, first = -1, dict[str, int]()
    for node in module.graph.nodes if isinstance(module, fx.GraphModule) else ():
        for read in node.all_input_nodes:
            if read.op == "get_attr":
                first.setdefault(str(read.target), last)
        if node.op == "call_module":
            last = max(last, place.get(str(node.target), last))
    return first


def _parts(names: Sequence[str], places: Sequence[int], owned: Mapping[str, int]) -> list[Part]:
    ends = [-1, *places, len(owned) + max(places) + 1]
    borders = [None, *names, None]
    return [
        Part(borders[k], borders[k + 1], frozenset(name for name, call in owned.items() if low <= call < high))
        for k, (low, high) in enumerate(pairwise(ends))
    ]


def _prove(module: nn.Module, example: Inputs, parts: Sequence[Part]) -> None:
    """An error unless the parts answer as the whole does, each without the others' parameters."""
    import torch

    every = tensors(module)
    for part in parts:
        own, others = ({id(every[name]) for name in every if (name in part.names) == mine} for mine in (True, False))
        if own & others:
            raise ValueError("parts share a weight")
    expected, crossing = listed(module(*example)), None
    for part in parts:
        kept = {
            name: tensor if name in part.names else torch.empty_like(tensor, device="meta")
            for name, tensor in every.items()
        }
        inputs = example if part.enters is None else shapes(example)
        answers = run(module, part, inputs, crossing, kept)
        crossing = answers[0]
    if not all(torch.equal(one, other) for one, other in zip(answers, expected, strict=True)):
        raise ValueError("parts answer otherwise than the whole")


def _enter(module: nn.Module, part: Part, received: Tensor | None) -> Iterator[RemovableHandle]:
    """At the first call of where the part begins, the shape that came there becomes what was received, for whoever else
    has it as well: a block's input is often added to its answer.
    """
    if part.enters is None:
        return
    waiting = [received]

    def give(_: nn.Module, args: tuple[Any, ...]) -> None:
        from torch.utils import swap_tensors

        if waiting and (tensor := waiting.pop()) is not None:
            swap_tensors(args[0], tensor.view_as(tensor))  # type: ignore[no-untyped-call]

    yield module.get_submodule(part.enters).register_forward_pre_hook(give)


def _leave(module: nn.Module, part: Part) -> Iterator[RemovableHandle]:
    if part.leaves is None:
        return

    def cross(_: nn.Module, args: tuple[Any, ...]) -> None:
        raise _Crossed(args[0])

    yield module.get_submodule(part.leaves).register_forward_pre_hook(cross)
