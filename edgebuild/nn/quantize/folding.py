"""Puts batch norms into the layers before them, so that weights are what a file will hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebuild.nn.graph import Layer, layers, parameter, trace
from edgebuild.nn.operators import operator
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, fx, nn


def fold(module: nn.Module, inputs: tuple[TensorSpec, ...]) -> list[str]:
    """Fold in place every batch norm that alone takes a layer's output; the names of the layers.

    Weight ← weight · γ/√(σ² + ε) and bias ← (bias − μ) · γ/√(σ² + ε) + β (Jacob et al., CVPR 2018, section 3.2).
    The norm stays in the module and does nothing but carry the bias of a layer that has none of its own.
    """
    import torch

    graph = trace(module, inputs)
    foldable = [layer for layer in layers(graph) if layer.norm is not None and _can_fold(layer)]
    with torch.no_grad():
        for layer in foldable:
            _fold(graph, layer)
    return [layer.name for layer in foldable]


def freeze(graph: fx.GraphModule) -> None:
    """Let training leave alone what batch norms multiply layers by: the file's weights are to be those trained."""
    for layer in layers(graph):
        if layer.norm is not None and layer.norm.args[1] is not None:
            gamma: Any = layer.norm.args[1]
            parameter(graph, gamma.target).requires_grad_(False)


def _can_fold(layer: Layer) -> bool:
    """Not where there is no place for the bias, the norm's channels are not the layer's outputs, or either is given
    what others read too or code computes.
    """
    from torch import fx

    one_each = operator(layer.node) != "linear" or layer.node.meta["val"].ndim == 2
    simple = layer.axis == 0 or layer.groups == 1
    assert layer.norm is not None
    has_statistics = all(place is not None for place in layer.norm.args[3:5])
    given = (*layer.node.args[2:3], *layer.norm.args[1:5])
    alone = all(one.op == "get_attr" and len(one.users) == 1 for one in given if isinstance(one, fx.Node))
    return one_each and simple and has_statistics and alone and layer.shift is not None


def _fold(graph: fx.GraphModule, layer: Layer) -> None:
    assert layer.norm is not None
    gamma, beta, mean, variance = (_argument(graph, layer.norm, place) for place in (1, 2, 3, 4))
    weight, bias = _argument(graph, layer.node, 1), _argument(graph, layer.node, 2)
    assert mean is not None
    assert variance is not None
    assert weight is not None
    epsilon: Any = layer.norm.args[7]
    factor = (variance + epsilon).rsqrt() * (1 if gamma is None else gamma)
    shift = ((0 if bias is None else bias) - mean) * factor + (0 if beta is None else beta)
    shape = [1] * weight.ndim
    shape[layer.axis] = -1
    weight.mul_(factor.view(shape))
    mean.zero_()
    variance.fill_(1 - epsilon)  # so that the norm multiplies by one
    for tensor, value in ((gamma, 1), (beta, 0)):
        if tensor is not None:
            tensor.fill_(value)
    assert layer.shift is not None
    parameter(graph, layer.shift).copy_(shift)


def _argument(graph: fx.GraphModule, node: fx.Node, place: int) -> Tensor | None:
    argument: Any = node.args[place] if place < len(node.args) else None
    return None if argument is None else parameter(graph, argument.target)
