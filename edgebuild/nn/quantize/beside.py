"""Runs a model beside its quantized self, layer by layer, so that each layer can be mended where errors meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebuild.nn.graph import Layer, layers, parameter
from edgebuild.nn.operators import operator

if TYPE_CHECKING:
    from torch import Tensor, fx


class Both(NamedTuple):
    """A value as the float model has it, and as the model does whose earlier layers are quantized."""

    plain: Any
    rounded: Any


# (layer, its output in the float model, its arguments in the other) → its rounded weight
Choose = Callable[[Layer, "Tensor", tuple[Any, ...]], "Tensor"]
# (layer, its whole output in both, batch norm included) → the other's, mended
Mend = Callable[[Layer, Both], "Tensor"]


def run(graph: fx.GraphModule, inputs: tuple[Tensor, ...], choose: Choose, mend: Mend) -> None:
    """Run both over all examples at once; each layer computes with the weight that `choose` gives, then `mend` sees it.

    Parameters may be changed in place once their own layer was seen: both runs are past it.
    """
    import torch
    from torch import fx

    known = layers(graph)
    at, behind = {layer.node: layer for layer in known}, {layer.end: layer for layer in known}

    class Beside(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            if n.op != "call_function":
                return super().run_node(n)
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            plain = self.call_function(n.target, _pick(args, 0), _pick(kwargs, 0))
            other = _pick(args, 1)
            if n in at:
                other = (other[0], choose(at[n], plain, other), *other[2:])
            both = Both(plain, self.call_function(n.target, other, _pick(kwargs, 1)))
            return Both(plain, mend(behind[n], both)) if n in behind else both

    with torch.no_grad():
        Beside(graph).run(*inputs)


def _pick(value: Any, place: int) -> Any:
    if isinstance(value, Both):
        return value[place]
    if isinstance(value, tuple | list):
        return type(value)(_pick(item, place) for item in value)
    if isinstance(value, dict):
        return {key: _pick(item, place) for key, item in value.items()}
    return value


def channel_axis(layer: Layer) -> int:
    """The axis of output channels in the layer's output."""
    return -1 if operator(layer.node) == "linear" else 1


def weight(graph: fx.GraphModule, layer: Layer) -> Tensor:
    """The layer's weight as the float model has it."""
    return parameter(graph, layer.weight)
