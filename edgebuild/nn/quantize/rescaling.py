"""Moves scales per channel between neighbouring layers; what the model computes stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.answers import listed
from edgebuild.nn.graph import layers, parameter
from edgebuild.nn.operators import operator
from edgebuild.nn.paths import Reader, readers
from edgebuild.spec.errors import StepError

if TYPE_CHECKING:
    from torch import Tensor, fx, nn


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """What makes channels, by its parameters' names, and the layers that alone read them.

    axis: of the first parameter's output channels; node: whose output the channels are
    """

    name: str
    node: fx.Node
    parameters: tuple[str, ...]
    axis: int
    readers: tuple[Reader, ...]

    def most_read(self, graph: nn.Module) -> Tensor:
        """The largest |w| of any reader for each channel."""
        import torch

        largest = [reader.most(parameter(graph, reader.layer.weight)) for reader in self.readers]
        return torch.stack(largest).amax(0)

    def move(self, graph: nn.Module, scales: Tensor) -> None:
        """Divide each channel where it is made by its scale, and multiply it by the same where it is read."""
        for number, name in enumerate(self.parameters):
            tensor = parameter(graph, name)
            shape = [1] * tensor.ndim
            shape[self.axis if number == 0 else 0] = -1
            tensor.div_(scales.view(shape))
        for reader in self.readers:
            weight = parameter(graph, reader.layer.weight)
            weight.mul_(reader.spread(scales, weight))


def layer_pairs(graph: fx.GraphModule, folded: list[str]) -> list[Pair]:
    """Layers joined by positively homogeneous operators alone; batch norms between them must be among the `folded`."""
    known = layers(graph)
    pairs = []
    for layer in known:
        if (layer.axis == 1 and layer.groups > 1) or (layer.norm is not None and layer.name not in folded):
            continue
        axis = -1 if operator(layer.node) == "linear" else 1
        if taken := readers(layer.end, axis, known):
            parameters = (layer.weight, layer.shift) if layer.shift else (layer.weight,)
            pairs.append(Pair(layer.name, layer.end, parameters, layer.axis, tuple(taken)))
    return pairs


def norm_pairs(graph: fx.GraphModule) -> list[Pair]:
    """Layer norms with a factor for each value of the last axis, and the layers that alone read them."""
    known = layers(graph)
    pairs = []
    for node in graph.graph.nodes:
        names = _factors(node)
        if names and (taken := readers(node, -1, known)):
            pairs.append(Pair(names[0].removesuffix(".weight"), node, names, 0, tuple(taken)))
    return pairs


def _factors(node: fx.Node) -> tuple[str, ...]:
    """The names of a norm's own weight and bias over one axis; none when it has no weight of its own."""
    from torch import fx

    if operator(node) not in ("layer_norm", "rms_norm") or len(node.args[1]) != 1:  # type: ignore[arg-type]
        return ()
    arguments = [node.args[place] for place in (2, 3) if place < len(node.args)]
    nodes = [item for item in arguments if isinstance(item, fx.Node)]
    own = [node for node in nodes if node.op == "get_attr" and len(node.users) == 1]
    return tuple(str(node.target) for node in own) if own == nodes else ()


def check_kept(before: Any, after: Any, tolerance: float = 1e-3) -> None:
    """StepError unless every output of two answers agrees within `tolerance` of its largest value.

    Where one does not, something else read a channel.
    """
    pairs = zip(listed(before), listed(after), strict=True)
    worst = max(float((one - other).abs().max() / one.abs().max().clamp_min(1e-12)) for one, other in pairs)
    if not worst <= tolerance:
        raise StepError(f"moving scales between layers changed what the model computes, by {worst:.2g} of its range")
