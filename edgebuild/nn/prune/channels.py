"""Takes stock of a model: which channels and heads can be removed from it, and why others stay.

What depends on one another goes together (DepGraph, Fang et al., CVPR 2023). What cannot be followed, or does not
stand the trial on a copy, is left alone and named; the rest goes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgebuild.nn.layers import output_layers
from edgebuild.nn.prune import groups, removal, trial
from edgebuild.nn.prune.heads import Attention, attentions
from edgebuild.nn.prune.units import Units, remove
from edgebuild.spec.errors import EdgebuildError, UsageError, exhausted

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.prune.groups import Traced

    Example = tuple[Tensor, ...]
    Joining = Callable[[Traced, Units], Units]

_SEED = 0


@dataclass(frozen=True, slots=True)
class Inventory:
    """All units of a model, and why the others of its layers stay whole, by name.

    Of those, `unfollowed` are the ones that nobody asked to keep: what depends on them cannot be followed. `joined`
    says of units whose channels must go with others of the same layer how those are found.
    """

    units: tuple[Units, ...]
    whole: Mapping[str, str]
    unfollowed: Mapping[str, str]
    joined: Mapping[str, Joining]


def inventory(
    module: nn.Module, example: Example, keep: Sequence[nn.Module], round_to: int, before: Inventory | None = None
) -> Inventory:
    """Find the units; parameters must require gradients.

    Each is tried on a copy (`trial`), and those that cannot go stay whole. `before` is the inventory of the same model
    when it had more channels: what could go then can go now. UsageError for a model that cannot be traced.
    """
    try:
        return _inventory(module, example, keep, round_to, before)
    except EdgebuildError:
        raise
    except Exception as error:  # the user's model runs in here, and fails in any way
        if exhausted(error):
            raise
        told = f"the model's channels cannot be followed: {groups.reason(error)}"
        raise UsageError(told, hint="leave the step out, or name layers in keep") from None


def remarks(unfollowed: Mapping[str, str]) -> list[str]:
    """A line for each layer that was left alone though nobody asked for it."""
    return [f"{name!r} stays whole: {why}" for name, why in unfollowed.items()]


def _inventory(
    module: nn.Module, example: Example, keep: Sequence[nn.Module], round_to: int, before: Inventory | None
) -> Inventory:
    traced = groups.trace(module, example)
    found, whole = _listed(module, example, traced, keep, round_to)
    if before is None:
        sound, unsound, joined = _tried(module, example, traced, [units for units in found if not units.fixed])
        known = removal.names(module)
        lost = {known[part]: why for part, why in (_recurrent(module) | traced.lost).items() if part not in keep}
        unfollowed = {name: why for name, why in lost.items() if name not in whole} | unsound
        units = [sound.get(units.name, units) for units in found if units.name not in unsound]
        return Inventory(tuple(units), {**unfollowed, **whole}, unfollowed, joined)
    able = {units.name for units in before.units}
    units = [before.joined[one.name](traced, one) if one.name in before.joined else one for one in found]
    whole = {**before.unfollowed, **whole}
    return Inventory(tuple(one for one in units if one.name in able), whole, before.unfollowed, before.joined)


def _listed(
    module: nn.Module, example: Example, traced: Traced, keep: Sequence[nn.Module], round_to: int
) -> tuple[list[Units], dict[str, str]]:
    """All units that the graph shows, and why other groups stay whole."""
    names = removal.names(module)
    stays = dict.fromkeys(keep, "named in keep") | _library_attention(module)
    stays |= dict.fromkeys(output_layers(module, example), "it makes an output")
    attending = attentions(module, example)
    inner = {layer for attention in attending for layer in attention.layers()}
    found, whole = [], {}
    for layer, group in traced.groups.items():
        touched = [dep.target.module for dep, _ in group if traced.graph.is_out_channel_pruning_fn(dep.handler)]
        reasons = [stays[part] for part in touched if part in stays]
        if reasons:
            whole[names[layer]] = reasons[0]
        elif not any(part in inner for part in touched):
            found.append(_channels(traced, layer, names, round_to))
    whole |= {names[layer]: stays[layer] for layer in traced.lost if layer in stays}
    for attention in attending:
        kept = any(stays.get(layer) == "named in keep" for layer in attention.layers())
        if kept or attention.count == 1:
            whole[attention.owner] = "named in keep" if kept else "its heads cannot be told apart, or it has one"
        else:
            found.append(_heads(traced, attention, names))
    return found, whole


def _library_attention(module: nn.Module) -> dict[nn.Module, str]:
    from torch import nn

    layers = [part for part in module.modules() if isinstance(part, nn.MultiheadAttention)]
    why = "nn.MultiheadAttention ties its width to its heads"
    return {part: why for layer in layers for part in layer.modules()}


def _recurrent(module: nn.Module) -> dict[nn.Module, str]:
    """Layers whose gates share channels in ways that no group shows."""
    from torch import nn

    layers = [part for part in module.modules() if isinstance(part, nn.RNNBase | nn.RNNCellBase)]
    return {part: f"it is recurrent ({type(part).__name__}): its channels cannot be removed" for part in layers}


def _tried(
    module: nn.Module, example: Example, traced: Traced, found: Sequence[Units]
) -> tuple[dict[str, Units], dict[str, str], dict[str, Joining]]:
    """By name the units that a copy of the model can lose, why it cannot lose others, and how some were joined.

    Of a group that cannot go, channels that must go together may be what is missing: tried again with those joined.
    """
    if not found:
        return {}, {}, {}
    copy = trial.prepared(module, example)

    def fault(chosen: Sequence[Units]) -> str | None:
        gone = [(units, _some(units)) for units in chosen]
        lost = [part for units, numbers in gone for part in units.lost(numbers)]
        return copy.fault(lost, lambda pruned, given: remove(pruned, given, gone))

    now = {units.name: units for units in found}
    joined: dict[str, Joining] = {}
    bad = _unsound([*now.values()], fault)
    for joining in (_dragged, _halved):
        changed = {name: joining(traced, now[name]) for name in bad if now[name].attention is None}
        fresh = {name: one for name, one in changed.items() if one is not now[name] and not one.fixed}
        good = fresh.keys() - _unsound([*fresh.values()], fault).keys()
        good -= _unsound([one for name, one in (now | fresh).items() if name not in bad or name in good], fault).keys()
        now, joined = now | {name: fresh[name] for name in good}, joined | dict.fromkeys(good, joining)
        bad = {name: why for name, why in bad.items() if name not in good}
    return {name: one for name, one in now.items() if name not in bad}, bad, joined


def _unsound(units: Sequence[Units], fault: Callable[[Sequence[Units]], str | None]) -> dict[str, str]:
    return {units[number].name: why for number, why in trial.unsound(units, fault).items()}


def _some(units: Units) -> list[int]:
    """Half of the units, drawn: as few patterns as possible look right by chance."""
    import torch

    count = min(len(units.members) // 2, len(units.members) - units.multiple)
    drawn = torch.randperm(len(units.members), generator=torch.Generator().manual_seed(_SEED))
    return sorted(drawn[: max(1, count)].tolist())


def _channels(traced: Traced, layer: nn.Module, names: Mapping[Any, str], round_to: int) -> Units:
    """The units of a dependency group. In grouped convolutions and norms, each group loses the same places."""
    group = traced.groups[layer]
    number = max(_groups(traced.graph, dep) for dep, _ in group)
    size = len(group[0].idxs) // number
    members = [[place + size * each for each in range(number)] for place in range(size)]
    least = 1 if number == 1 else 2  # with one channel a group it would be a depthwise convolution, and depend so
    multiple = max(least, round_to // math.gcd(round_to, number))
    return Units(names[layer], "channels", group, members, multiple, removal.parts(group, names))


def _dragged(traced: Traced, units: Units) -> Units:
    """The same units with what their channels drag along (the two halves of a GLU); as they are when that is none."""
    dragged: list[list[int]] = []
    with suppress(Exception):  # what cannot be followed channel by channel stays as it is
        dragged = groups.orbits(traced, units.group[0].dep.target.module)
    return _joined(units, dragged)


def _halved(_: Traced, units: Units) -> Units:
    """The same units in pairs, each with that in the other half: what a `chunk` in two makes stays of one size."""
    half, odd = divmod(len(units.members), 2)
    if odd:
        return units
    return _joined(units, [[*units.members[k], *units.members[half + k]] for k in range(half)])


def _joined(units: Units, sets: Sequence[Sequence[int]]) -> Units:
    joined = _merged([*units.members, *sets])
    if len(joined) == len(units.members) or len({len(channels) for channels in joined}) != 1:
        return units
    return replace(units, members=joined)


def _merged(sets: Sequence[Sequence[int]]) -> list[list[int]]:
    """The classes of numbers that any of the sets joins."""
    owner: dict[int, int] = {}
    for members in sets:
        old = {owner.get(number, number) for number in members}
        owner |= dict.fromkeys(members, min(old))
        owner = {number: min(old) if first in old else first for number, first in owner.items()}
    return [sorted(k for k, first in owner.items() if first == each) for each in sorted({*owner.values()})]


def _groups(graph: Any, dep: Any) -> int:
    """Into how many groups a layer divides the channels that a dependency takes from it."""
    layer, pruner = dep.target.module, graph.get_pruner_of_module(dep.target.module)
    if pruner is None or getattr(layer, "groups", 0) == getattr(layer, "out_channels", None):
        return 1
    outputs = graph.is_out_channel_pruning_fn(dep.handler)
    return int(pruner.get_out_channel_groups(layer) if outputs else pruner.get_in_channel_groups(layer))


def _heads(traced: Traced, attention: Attention, names: Mapping[Any, str]) -> Units:
    import torch_pruning
    from torch_pruning.dependency import Dependency, Group

    group = Group()
    sides = (
        (attention.made, torch_pruning.prune_linear_out_channels),
        (attention.read, torch_pruning.prune_linear_in_channels),
    )
    for layers, handler in sides:
        for layer, features in layers.items():
            node = traced.graph.module2node[layer]
            group.add_dep(Dependency(handler, handler, node, node), [f for head in features for f in head])
            group[-1].root_idxs = [number for number, head in enumerate(features) for _ in head]
    members = [[number] for number in range(attention.count)]
    return Units(attention.owner, "heads", group, members, 1, removal.parts(group, names), attention)
