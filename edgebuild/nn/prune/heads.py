"""Finds the heads of attention in any model: which rows of which layers make a head, and which columns read it.

What attends is seen by the operators it calls (scaled dot-product attention, or products of matrices with a batch and
a head axis); the way from a layer to a head is followed through autograd, whatever reshapes and splits stand between.
`nn.MultiheadAttention` ties its width to its heads and is none of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.layers import nearest
from edgebuild.spec.errors import UsageError, exhausted

if TYPE_CHECKING:
    from torch import Tensor, nn

    Rows = dict[nn.Linear, list[list[int]]]  # the features of each head, in the head's own order

_PRODUCTS = ("scaled_dot_product_attention", "matmul", "__matmul__")


@dataclass(frozen=True, slots=True)
class Attention:
    """`made[layer][head]` are the outputs of a projection that a head is made of, `read[layer][head]` inputs after it.

    `count` is the number of heads; `owner` names the module that holds all of them.
    """

    owner: str
    count: int
    made: Rows
    read: Rows

    def layers(self) -> list[nn.Linear]:
        """The projections to queries, keys and values."""
        return [*self.made]

    def recount(self, module: nn.Module, example: tuple[Tensor, ...], count: int) -> None:
        """Tell the module, or a copy of it, that so many heads are left.

        The attribute that counts them is the one with which the module runs, and has that many. UsageError when there
        is none.
        """
        for part, name in self._counters(module):
            setattr(part, name, count)
            if self._has(module, example, count):
                return
            setattr(part, name, self.count)
        told = f"attention {self.owner!r} cannot lose heads: with {count} of {self.count} it does not run"
        raise UsageError(told, hint="let it keep their number as an attribute (self.heads) and reshape to -1")

    def _counters(self, module: nn.Module) -> Iterable[tuple[nn.Module, str]]:
        """Public whole-number attributes that say `head` and have the number; nearest module first."""
        path = self.owner.split(".") if self.owner else []
        for depth in range(len(path), -1, -1):
            part = module.get_submodule(".".join(path[:depth]))
            for name, value in vars(part).items():
                if "head" in name and not name.startswith("_") and type(value) is int and value == self.count:
                    yield part, name

    def _has(self, module: nn.Module, example: tuple[Tensor, ...], count: int) -> bool:
        try:
            found = {attention.owner: attention.count for attention in attentions(module, example)}
        except Exception as error:  # the user's forward pass may fail in any way, and that is the answer
            if exhausted(error):
                raise
            return False
        return found.get(self.owner) == count


@dataclass(frozen=True, slots=True)
class _Call:
    """One product: its operands [N, heads, …] and its result."""

    operands: list[Tensor]
    result: Tensor


@dataclass(slots=True)
class _Seen:
    """What a forward pass shows: calls of products by node, what linear layers were given, what they made by node."""

    calls: dict[Any, _Call]
    given: dict[nn.Linear, Tensor]
    made: dict[Any, tuple[nn.Linear, Tensor]]


def attentions(module: nn.Module, example: tuple[Tensor, ...]) -> list[Attention]:
    """Every attention; one whose heads share rows or columns counts as a single head. Parameters need gradients."""
    seen = _watch(module, example)
    names = {layer: name for name, layer in module.named_modules()}
    inner = {node for call in seen.calls.values() for node in _before(call, seen) if node in seen.calls}
    return [_attention(names, call, seen) for node, call in seen.calls.items() if node not in inner]


def _watch(module: nn.Module, example: tuple[Tensor, ...]) -> _Seen:
    import torch
    from torch import nn
    from torch.overrides import TorchFunctionMode

    seen = _Seen({}, {}, {})

    class Products(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if getattr(func, "__name__", "") in _PRODUCTS and _by_heads(result):
                given = [value for value in (*args, *(kwargs or {}).values()) if _by_heads(value)]
                seen.calls[result.grad_fn] = _Call(given, result)
            return result

    def note(layer: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        assert isinstance(layer, nn.Linear)
        seen.given[layer], seen.made[result.grad_fn] = inputs[0], (layer, result)

    hooks = [part.register_forward_hook(note) for part in module.modules() if isinstance(part, nn.Linear)]
    with torch.enable_grad(), Products():
        module(*example)
    for hook in hooks:
        hook.remove()
    return seen


def _by_heads(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.ndim == 4 and value.grad_fn is not None


def _before(call: _Call, seen: _Seen) -> list[Any]:
    """The products and linear layers that the operands come from."""
    return nearest([operand.grad_fn for operand in call.operands], {*seen.calls, *seen.made})


def _attention(names: dict[nn.Module, str], last: _Call, seen: _Seen) -> Attention:
    """The attention whose result is that of its last product."""
    count = last.result.shape[1]
    made = {layer: rows for call in _chain(last, seen) for layer, rows in _rows(call, count, seen).items()}
    read = {
        layer: _columns(last.result, given)
        for layer, given in seen.given.items()
        if nearest([given.grad_fn], {*seen.calls, *seen.made}) == [last.result.grad_fn]
    }
    owner = _common([names[layer] for layer in (*made, *read)])
    apart = read and all(_partition(features, count) for features in (*made.values(), *read.values()))
    if apart and all(operand.shape[1] == count for call in _chain(last, seen) for operand in call.operands):
        return Attention(owner, count, made, read)
    return Attention(owner, 1, {layer: [[]] for layer in made}, {})


def _chain(last: _Call, seen: _Seen) -> list[_Call]:
    """The product and those before it, up to the projections."""
    found, waiting = [], [last]
    while waiting:
        call = waiting.pop()
        found.append(call)
        waiting += [seen.calls[node] for node in _before(call, seen) if node in seen.calls]
    return found


def _rows(call: _Call, count: int, seen: _Seen) -> Rows:
    """For each linear layer before the product, which of its outputs each head is made of."""
    import torch

    found: Rows = {}
    for node in _before(call, seen):
        if node not in seen.made:
            continue
        layer, result = seen.made[node]
        heads: list[set[int]] = [set() for _ in range(count)]
        for operand in call.operands:
            for head, features in enumerate(heads):
                slope = torch.autograd.grad(
                    (operand * _ramp(operand)).select(1, head % operand.shape[1]).sum(),
                    result,
                    retain_graph=True,
                    allow_unused=True,
                )[0]
                features.update([] if slope is None else _touched(slope))
        found[layer] = [sorted(features) for features in heads]
    return found


def _columns(result: Tensor, given: Tensor) -> list[list[int]]:
    """Which features of a layer's input each head of an attention's result becomes.

    The derivative along one head's values: backward twice (the transpose of the transpose).
    """
    import torch

    along = torch.zeros_like(given, requires_grad=True)
    (back,) = torch.autograd.grad(given, result, along, create_graph=True)
    found = []
    for head in range(result.shape[1]):
        one = torch.zeros_like(result)
        one[:, head] = _ramp(result)[:, head]
        found.append(_touched(torch.autograd.grad(back, along, one, retain_graph=True)[0]))
    return found


def _ramp(like: Tensor) -> Tensor:
    """Different positive numbers: no sum of derivatives cancels out by symmetry."""
    import torch

    return torch.linspace(0.5, 1.5, like.numel()).view(like.shape)


def _touched(values: Tensor) -> list[int]:
    """The features (last axis) with any value but zero."""
    return values.abs().flatten(0, -2).amax(0).nonzero().flatten().tolist()


def _partition(features: list[list[int]], count: int) -> bool:
    """Whether the heads have equally many features each, and no two the same."""
    flat = [feature for head in features for feature in head]
    equal = len({len(head) for head in features}) == 1 and len(features) == count
    return bool(flat) and equal and len({*flat}) == len(flat)


def _common(names: list[str]) -> str:
    """The module that holds all of these: their longest common path."""
    paths = [name.split(".")[:-1] for name in names]
    shared = [parts[0] for parts in zip(*paths, strict=False) if len({*parts}) == 1]
    return ".".join(shared)
