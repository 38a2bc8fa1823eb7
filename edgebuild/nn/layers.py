"""Finds layers of a module by what they do in it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    from torch import Tensor, nn


def output_layers(module: nn.Module, example: tuple[Tensor, ...]) -> list[nn.Module]:
    """The convolutions and linear layers that set the shape of the module's outputs: the last on each way to one.

    What stands between them and the output (a softmax, a reshape, a sum of two heads) is followed backwards through
    autograd's graph, so the parameters must require gradients.
    """
    import torch

    makers: dict[Any, nn.Module] = {}

    def note(layer: nn.Module, _: object, result: object) -> None:
        if isinstance(result, torch.Tensor) and result.grad_fn is not None:
            makers[result.grad_fn] = layer

    weighted = [layer for layer in module.modules() if _has_matrix(layer)]
    hooks = [layer.register_forward_hook(note) for layer in weighted]
    with torch.enable_grad():
        answer = module(*example)
    for hook in hooks:
        hook.remove()
    results = [answer] if isinstance(answer, torch.Tensor) else list(answer)
    return [makers[node] for node in nearest([result.grad_fn for result in results], makers)]


def named(module: nn.Module, names: Sequence[str], key: str) -> list[nn.Module]:
    """The layers of these names, with all that is in them; UsageError for a name that the model does not have."""
    layers = dict(module.named_modules())
    for name in names:
        if not name or name not in layers:
            raise UsageError(f"the model has no layer {name!r}", key=key, hint=suggest(name, filter(None, layers)))
    return [part for name in names for part in layers[name].modules()]


def _has_matrix(layer: nn.Module) -> bool:
    return any(name == "weight" and weight.ndim > 1 for name, weight in layer.named_parameters(recurse=False))


def nearest(starts: Iterable[Any], stops: Container[Any]) -> list[Any]:
    """The stops met first on every way back from these nodes of the autograd graph, each once."""
    met: list[Any] = []
    waiting, seen = list(starts), set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in stops:
            met.append(node)
        else:
            waiting.extend(earlier for earlier, _ in node.next_functions)
    return met
