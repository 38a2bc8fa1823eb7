"""Takes stock of a model: which channels and heads can be removed from it, and why others stay.

What depends on one another goes together (`dependencies`). What cannot be followed, or does not stand the trial on a
copy (`proof`), is left alone and named; the rest goes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgebuild.nn.prune.units import Units
from edgebuild.spec.errors import EdgebuildError, UsageError, exhausted

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.prune.dependencies import Dependencies, Group
    from edgebuild.nn.prune.proof import Proven

    Example = tuple[Tensor, ...]

_ONE = "an axis of one"


@dataclass(frozen=True, slots=True)
class Inventory:
    """All units of a model, and why the others of its layers stay whole, by name.

    Of those, `unfollowed` are the ones that nobody asked to keep: what depends on them cannot be followed.
    """

    units: tuple[Units, ...]
    whole: Mapping[str, str]
    unfollowed: Mapping[str, str]
    proven: Proven

    def remove(self, module: nn.Module, chosen: Sequence[tuple[Units, Collection[int]]]) -> Inventory:
        """Take units, by number, out of the module, or out of a copy of it; what is left of the stock then.

        All at once, for the numbers of those that are left move. What could go once can go again.
        """
        taken = [(units.group, gone) for units, gone in chosen if gone]
        self.proven.remove(module, taken)
        left = self.proven.without(taken)
        fresh = [(one, _same(one.group, left.dependencies.groups)) for one in self.units]
        units = tuple(
            replace(one, group=group, members=_members(group, one.noun)) for one, group in fresh if group is not None
        )
        return replace(self, units=units, proven=left)


def inventory(module: nn.Module, example: Example, keep: Sequence[nn.Module], round_to: int) -> Inventory:
    """Find the units; each is tried on a copy, and those that cannot go stay whole.

    UsageError for a model that cannot be traced.
    """
    try:
        return _inventory(module, example, keep, round_to)
    except EdgebuildError:
        raise
    except Exception as error:  # the user's model runs in here, and fails in any way
        if exhausted(error):
            raise
        first = str(error).strip().partition("\n")[0][:160]
        message = f"the model's channels cannot be followed: {type(error).__name__}: {first}"
        raise UsageError(message, hint="leave the step out, or name layers in keep") from None


def remarks(unfollowed: Mapping[str, str]) -> list[str]:
    """A line for each layer that was left alone though nobody asked for it."""
    return [f"{name!r} stays whole: {why}" for name, why in unfollowed.items()]


def _inventory(module: nn.Module, example: Example, keep: Sequence[nn.Module], round_to: int) -> Inventory:
    from edgebuild.nn.prune import ties
    from edgebuild.nn.prune.dependencies import dependencies
    from edgebuild.nn.prune.proof import proven
    from edgebuild.nn.prune.trace.follow import OUTPUT

    kept = {name for name, part in module.named_modules() if part in {*keep}}

    def proved(found: Dependencies) -> tuple[dict[Group, Units], dict[str, str], Proven]:
        whole = {group.name: "named in keep" for group in found.groups if not kept.isdisjoint(_layers(group))}
        stock = {group: _units(group, name, round_to) for group, name in _named(found, whole).items()}
        return stock, whole, proven(module, example, found, lambda group: group in stock and not stock[group].fixed)

    stock, whole, tried = proved(dependencies(module, example))
    if (tied := ties.tied(tried.dependencies, tried.refused)) is not None:
        again = proved(tied)
        if _narrowed(again[-1]) > _narrowed(tried):
            stock, whole, tried = again
    found = tried.dependencies
    able = {*tried.together} | {group for group, units in stock.items() if units.fixed and not _rival(found, group)}
    protected = {name: why for name, why in found.protected.items() if why != _ONE}
    unfollowed = {
        name: why
        for name, why in (protected | {stock[group].name: why for group, why in tried.refused.items()}).items()
        if name not in kept and why != OUTPUT
    }
    whole |= {name: "named in keep" if name in kept else why for name, why in protected.items()}
    units = tuple(one for group, one in stock.items() if group in able)
    return Inventory(units, {**unfollowed, **whole}, unfollowed, tried)


def _narrowed(tried: Proven) -> int:
    """How many layers can make fewer channels."""
    return len({layer for group in tried.together for layer in group.layers})


def _layers(group: Group) -> set[str]:
    return {parameter.rpartition(".")[0] for parameter in group.layers}


def _rival(dependencies: Dependencies, group: Group) -> bool:
    return bool(dependencies.rivals[dependencies.groups.index(group)])


def _named(dependencies: Dependencies, whole: Mapping[str, str]) -> dict[Group, str]:
    """The groups that nobody keeps, each with a name of its own; of rivals, which are not both taken, the same."""
    names: dict[Group, str] = {}
    for place, group in enumerate(dependencies.groups):
        if group.name in whole:
            continue
        rivals = {dependencies.groups[other] for other in dependencies.rivals[place]}
        used = {name for other, name in names.items() if other not in rivals}
        able = [group.name, *(layer.rpartition(".")[0] for layer in group.layers)]
        spare = (f"{group.name} ({number})" for number in range(2, len(dependencies.groups) + 2))
        names[group] = next(name for name in (*able, *spare) if name not in used)
    return names


def _units(group: Group, name: str, round_to: int) -> Units:
    """The units of a group; of what is left, each layer that makes them has a multiple of `round_to` channels."""
    members = _members(group, group.kind)
    width = max(len(channels) for channels in members)
    multiple = 1 if group.kind == "heads" else round_to // math.gcd(round_to, width)
    return Units(name, group.kind, group, members, multiple)


def _members(group: Group, noun: str) -> list[Sequence[int]]:
    """The channels of each unit as the layers that make them number them; a head is one."""
    if noun == "heads":
        return [[number] for number in range(len(group.units))]
    makers = [layer.rpartition(".")[0] for layer in group.layers]
    sides = [member for layer in makers for member in group.members if member.layer == layer]
    sides.sort(key=lambda member: (makers.index(member.layer), max(map(len, member.places))))
    return [next((side.places[k] for side in sides if side.places[k]), (k,)) for k in range(len(group.units))]


def _same(group: Group, groups: Sequence[Group]) -> Group | None:
    """What is left of a group."""
    return next((one for one in groups if {*one.units} <= {*group.units}), None)
