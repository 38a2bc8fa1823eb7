"""What can be removed from a model so that a smaller dense model is left: units, and how each is taken out.

A unit is what must go at once: a channel through all layers that depend on it (DepGraph, Fang et al., CVPR 2023), the
channels of all groups of a grouped convolution, or a head of attention.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.heads import Attention, attentions
from edgebuild.nn.layers import output_layers
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.importance import Importance

Stays = Mapping[str, int]  # by name of the units, how many are left


@dataclass(frozen=True, slots=True)
class Units:
    """Units that compete with one another.

    name: the layer that stands for all that depend on it, or the attention
    noun: what one of them is: "channels" or "heads"
    group: torch-pruning's dependency group, for criteria; its channels are numbered as in `members`
    members: which channels each unit has
    multiple: what is left must be a multiple of this many units, and at least this many
    remove: takes units, by number, out of the model
    """

    name: str
    noun: str
    group: Any
    members: Sequence[Sequence[int]]
    multiple: int
    remove: Callable[[Sequence[int]], None]

    def scores(self, importance: Importance) -> Tensor | None:
        """How important each unit is, the mean over its channels; None when the criterion says nothing here."""
        import torch

        found = importance(self.group)
        return None if found is None else torch.stack([found[list(channels)].mean() for channels in self.members])

    def left(self, ratio: float, of: int | None = None) -> int:
        """How many units stay when `ratio` of so many (all there are now) go, rounded down to the multiple."""
        if ratio == 0:
            return len(self.members)
        stay = int((len(self.members) if of is None else of) * (1 - ratio))
        return stay - stay % self.multiple

    def rounded(self, stay: int) -> int:
        """`stay` rounded down to the multiple, but one multiple at least, and all of them when none was to go."""
        return stay if stay == len(self.members) else max(stay - stay % self.multiple, self.multiple)

    @property
    def size(self) -> int:
        """The number of channels (or heads) there are."""
        return sum(len(channels) for channels in self.members)

    @property
    def fixed(self) -> bool:
        """Whether there are too few for any to go."""
        return len(self.members) <= self.multiple


@dataclass(frozen=True, slots=True)
class Inventory:
    """All units of a model, and why the others of its layers stay whole, by name."""

    units: tuple[Units, ...]
    whole: Mapping[str, str]


def inventory(module: nn.Module, example: tuple[Tensor, ...], keep: Sequence[nn.Module], round_to: int) -> Inventory:
    """Find the units; parameters must require gradients.

    UsageError for recurrent layers outside of `keep`: no dependency graph can follow their gates.
    """
    import torch_pruning

    names = {part: name for name, part in module.named_modules()}
    whole = dict.fromkeys(keep, "named in keep") | dict(_unfit(module, names, keep))
    whole |= dict.fromkeys(output_layers(module, example), "it makes an output")
    given = example if len(example) > 1 else example[0]
    graph = torch_pruning.DependencyGraph().build_dependency(module, example_inputs=given, verbose=False)
    attending = attentions(module, example)
    inner = {layer: attention for attention in attending for layer in attention.layers()}
    found, left = [], {}
    for group in graph.get_all_groups():
        touched = [d.target.module for d, _ in group if graph.is_out_channel_pruning_fn(d.handler)]
        name = names.get(group[0].dep.target.module, "?")
        reasons = [whole[part] for part in touched if part in whole]
        if reasons:
            left[name] = reasons[0]
        elif not any(part in inner for part in touched):
            found.append(_channels(graph, group, name, round_to))
    for attention in attending:
        reasons = [whole[layer] for layer in attention.layers() if whole.get(layer) == "named in keep"]
        if reasons or attention.count == 1:
            left[attention.owner] = reasons[0] if reasons else "its heads cannot be told apart, or it has one"
        else:
            found.append(_heads(graph, attention, module, example))
    return Inventory(tuple(found), left)


def _unfit(module: nn.Module, names: Mapping[nn.Module, str], keep: Sequence[nn.Module]) -> dict[nn.Module, str]:
    """Layers that nothing may be taken from, and why."""
    from torch import nn

    found: dict[nn.Module, str] = {}
    for part in module.modules():
        if isinstance(part, nn.RNNBase) and part not in keep:
            told = f"{names[part]!r} is recurrent ({type(part).__name__}): its channels cannot be removed"
            raise UsageError(told, key="prune_channels", hint="use prune_weights, or name it in keep")
        if isinstance(part, nn.MultiheadAttention):
            found |= dict.fromkeys(part.modules(), "nn.MultiheadAttention ties its width to its heads")
    return found


def _channels(graph: Any, group: Any, name: str, round_to: int) -> Units:
    """The units of a dependency group. In grouped convolutions and norms, each group loses the same places."""
    layer, handler = group[0].dep.target.module, group[0].dep.handler
    count = len(group[0].idxs)
    groups = max(_groups(graph, dep) for dep, _ in group)
    size = count // groups
    members = [[place + size * number for number in range(groups)] for place in range(size)]

    def remove(units: Sequence[int]) -> None:
        graph.get_pruning_group(layer, handler, sorted(c for unit in units for c in members[unit])).prune()

    least = (
        1 if groups == 1 else 2
    )  # with one channel a group it would be a depthwise convolution, and depend otherwise
    return Units(name, "channels", group, members, max(least, round_to // math.gcd(round_to, groups)), remove)


def _groups(graph: Any, dep: Any) -> int:
    """Into how many groups a layer divides the channels that a dependency takes from it."""
    layer, pruner = dep.target.module, graph.get_pruner_of_module(dep.target.module)
    if pruner is None or getattr(layer, "groups", 0) == getattr(layer, "out_channels", None):
        return 1
    outputs = graph.is_out_channel_pruning_fn(dep.handler)
    return int(pruner.get_out_channel_groups(layer) if outputs else pruner.get_in_channel_groups(layer))


def _heads(graph: Any, attention: Attention, module: nn.Module, example: tuple[Tensor, ...]) -> Units:
    import torch_pruning
    from torch_pruning.dependency import Dependency, Group

    group = Group()
    sides = (
        (attention.made, torch_pruning.prune_linear_out_channels),
        (attention.read, torch_pruning.prune_linear_in_channels),
    )
    for layers, handler in sides:
        for layer, features in layers.items():
            node = graph.module2node[layer]
            group.add_dep(Dependency(handler, handler, node, node), [f for head in features for f in head])
            group[-1].root_idxs = [number for number, head in enumerate(features) for _ in head]
    members = [[number] for number in range(attention.count)]
    return Units(attention.owner, "heads", group, members, 1, lambda heads: attention.remove(module, example, heads))


def cut(found: Inventory, scores: Mapping[str, Tensor], stays: Stays) -> None:
    """Remove the units of least score, so that as many are left as `stays` says; ties go in the order of channels."""
    for units in found.units:
        gone = len(units.members) - stays.get(units.name, len(units.members))
        if gone > 0:
            units.remove(scores[units.name].argsort(stable=True)[:gone].tolist())


def scores(found: Inventory, importance: Importance) -> dict[str, Tensor]:
    """How important each unit is, by name; without those that the criterion says nothing about."""
    scored = {units.name: units.scores(importance) for units in found.units}
    return {name: score for name, score in scored.items() if score is not None}


def together(
    found: Inventory, scores: Mapping[str, Tensor], ratios: Mapping[str, float], of: Mapping[str, int]
) -> dict[str, int]:
    """How many units stay when all of a noun compete: the least of all go, as many as the ratios add up to.

    What is left of each is rounded down to its multiple, and at least one multiple stays. `of` are the numbers that
    the ratios are of.
    """
    stays: dict[str, int] = {}
    for noun in sorted({units.noun for units in found.units}):
        competing = [units for units in found.units if units.noun == noun and units.name in scores and not units.fixed]
        stays |= _compete(competing, scores, sum(int(of[u.name] * (1 - ratios[u.name])) for u in competing))
    return stays


def _compete(competing: Sequence[Units], scores: Mapping[str, Tensor], stay: int) -> dict[str, int]:
    import torch

    if not competing:
        return {}
    flat = torch.cat([scores[units.name] for units in competing])
    best = torch.zeros(len(flat), dtype=torch.bool)
    best[flat.argsort(stable=True)[max(0, len(flat) - stay) :]] = True
    parts = torch.split(best, [len(units.members) for units in competing])
    return {units.name: units.rounded(int(part.sum())) for units, part in zip(competing, parts, strict=True)}
