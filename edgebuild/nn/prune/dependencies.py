"""What of a module goes together: groups of units, each with its places in parameters; and what stays, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Literal

from edgebuild.nn.prune.trace.call import Norm, Notes, Side, Size
from edgebuild.nn.prune.trace.fate import fate
from edgebuild.nn.prune.trace.follow import Traced, trace

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from edgebuild.nn.prune.trace.numbers import Ids

    Example = tuple[Tensor, ...]

Role = Literal["makes", "reads", "treats"]
Lost = Mapping[str, Mapping[int, "np.ndarray"]]  # of parameters by name, by axis: which indices go


@dataclass(frozen=True, slots=True)
class Member:
    """An axis of a parameter or buffer: `places[k]` of it go with unit k of the group.

    role: whether a layer makes channels along this axis, reads them, or does something else to each of them
    """

    parameter: str
    axis: int
    places: tuple[tuple[int, ...], ...]
    role: Role

    @property
    def layer(self) -> str:
        """The module that holds the parameter."""
        return self.parameter.rpartition(".")[0]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Units that compete with one another; a unit is one channel, or what must go with it, of all members.

    name: the layer that makes its channels first, or the module that holds the projections of heads
    units: the representative number of each
    layers: all layers that make its channels
    normed: norms whose statistics are then taken over the channels that are left
    """

    name: str
    kind: Literal["channels", "heads"]
    units: tuple[int, ...]
    members: tuple[Member, ...]
    layers: tuple[str, ...]
    normed: tuple[str, ...]

    def spared(self, order: Sequence[int], count: int) -> list[int]:
        """The first `count` of these units, without any that would leave nothing of a layer that has only some."""
        left = [{*chain(*one.places)} for one in self.members if not all(one.places)]
        parts = [one.places for one in self.members if not all(one.places)]
        gone: list[int] = []
        for unit in order:
            after = [still.difference(places[unit]) for still, places in zip(left, parts, strict=True)]
            if len(gone) < count and all(after):
                gone.append(unit)
                left = after
        return gone


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Groups in the order of execution; `protected` says of layers of which nothing can go, why.

    rivals: of each group (by place) those that share channels with it: a channel may go as one of a head's or as one
    place of all heads, and only one of the two should decide
    """

    traced: Traced
    groups: tuple[Group, ...]
    protected: Mapping[str, str]
    rivals: Mapping[int, frozenset[int]]

    def lost(self, chosen: Sequence[tuple[Group, Collection[int]]]) -> dict[str, dict[int, Ids]]:
        """What all parameters lose with these units, by name and axis."""
        return lost(self.traced, numbers_of(chosen))

    def without(self, chosen: Sequence[tuple[Group, Collection[int]]]) -> Dependencies:
        """What is left once these units are gone; the module is not followed anew."""
        return built(without(self.traced, numbers_of(chosen)))


def dependencies(module: nn.Module, example: Example) -> Dependencies:
    """Follow a module; UsageError where it cannot be exported."""
    traced = trace(module, example)
    _keep_the_indispensable(traced)
    return built(traced)


def built(traced: Traced) -> Dependencies:
    """The groups of what was followed."""
    return _Builder(traced).built()


def _keep_the_indispensable(traced: Traced) -> None:
    """Protect whatever would take all of some parameter's axis with it."""
    import numpy as np

    atoms = cache(traced.numbers.atoms)
    for name, value in traced.parameters.items():
        for ids in value.axes:
            roots = np.unique(traced.numbers.find(ids)).tolist()
            whole = frozenset.intersection(*map(atoms, roots)) if len(ids) > 1 else ()
            for atom in whole:
                traced.numbers.protect(np.array([atom]), f"all of {name!r} would have to go with it")


def numbers_of(chosen: Sequence[tuple[Group, Collection[int]]]) -> set[int]:
    """The numbers that go with these units."""
    return {group.units[k] for group, numbers in chosen for k in numbers}


def lost(traced: Traced, gone: Collection[int]) -> dict[str, dict[int, Ids]]:
    """Which indices of which parameters' axes go with these numbers."""
    ends = fate(traced.numbers, gone)
    indices: dict[str, dict[int, Ids]] = {}
    for name, value in traced.parameters.items():
        for axis, ids in enumerate(value.axes):
            where = ends.places(ids)
            if len(where):
                indices.setdefault(name, {})[axis] = where
    return indices


def without(traced: Traced, gone: Collection[int]) -> Traced:
    """The same module once all that goes with these numbers is gone."""
    notes, left = traced.notes, fate(traced.numbers, gone).rest
    fresh = Notes(
        [Side(side.layer, left(side.ids)) for side in notes.births],
        [Side(side.layer, left(side.ids)) for side in notes.reads],
        notes.folds,
        [left(ids) for ids in notes.heads],
        [Norm(norm.weight, left(norm.ids)) for norm in notes.norms],
        [Size(size.modules, left(size.ids)) for size in notes.sizes],
    )
    parameters = {name: replace(value, axes=tuple(map(left, value.axes))) for name, value in traced.parameters.items()}
    return Traced(traced.numbers, parameters, fresh, [left(ids) for ids in traced.families], traced.outside)


class _Builder:
    def __init__(self, traced: Traced) -> None:
        self._traced, self._numbers = traced, traced.numbers
        self._atoms: dict[int, frozenset[int]] = {}

    def built(self) -> Dependencies:
        sets = self._sets()
        home = {atom: (k, place) for k, atoms in enumerate(sets) for place, atom in enumerate(atoms)}
        members, rivals = self._members(home, sets)
        heads = {home[atom][0] for atom in self._of(self._traced.notes.heads) if atom in home}
        layers: dict[int, list[str]] = {}
        for birth in self._traced.notes.births:
            for k in {home[atom][0] for atom in self._of([birth.ids]) if atom in home}:
                layers.setdefault(k, []).append(birth.layer)
        normed: dict[int, list[str]] = {}
        for norm in self._traced.notes.norms:
            for k in {home[atom][0] for atom in self._of([norm.ids]) if atom in home}:
                normed.setdefault(k, []).append(str(norm.weight))
        number = {k: place for place, k in enumerate(sorted(layers))}
        groups = tuple(
            Group(
                (k in heads and _common(layers[k])) or owner(layers[k][0]),
                "heads" if k in heads else "channels",
                tuple(sets[k]),
                tuple(members.get(k, ())),
                tuple(dict.fromkeys(layers[k])),
                tuple(dict.fromkeys(normed.get(k, ()))),
            )
            for k in sorted(layers)
        )
        pairs = {number[k]: frozenset(number[o] for o in rivals.get(k, ()) if o in number) for k in number}
        return Dependencies(self._traced, groups, self._protected(home), pairs)

    def _of(self, arrays: Sequence[Ids]) -> set[int]:
        return {atom for ids in arrays for root in {*self._numbers.find(ids).tolist()} for atom in self._expand(root)}

    def _expand(self, root: int) -> frozenset[int]:
        if root not in self._atoms:
            self._atoms[root] = self._numbers.atoms(root)
        return self._atoms[root]

    def _sets(self) -> list[list[int]]:
        """Numbers that compete: those of one axis, and of all axes that share any of them."""
        families = [birth.ids for birth in self._traced.notes.births] + [*self._traced.families]
        leader: dict[int, int] = {}
        order: list[int] = []
        for ids in families:
            roots = [*dict.fromkeys(self._numbers.find(ids).tolist())]
            plain = [root for root in roots if self._expand(root) == {root}]
            for atom in plain:
                if atom not in leader:
                    leader[atom] = atom
                    order.append(atom)
                _merge(leader, plain[0], atom)
        sets: dict[int, list[int]] = {}
        for atom in order:
            sets.setdefault(_top(leader, atom), []).append(atom)
        return [atoms for atoms in sets.values() if len(atoms) > 1]

    def _members(
        self, home: Mapping[int, tuple[int, int]], sets: Sequence[Sequence[int]]
    ) -> tuple[dict[int, list[Member]], dict[int, set[int]]]:
        notes = self._traced.notes
        roles: dict[tuple[str, int], Role] = {(side.layer, int(side.ids[0])): "reads" for side in notes.reads}
        roles |= {(side.layer, int(side.ids[0])): "makes" for side in notes.births}
        members: dict[int, list[Member]] = {}
        rivals: dict[int, set[int]] = {}
        for name, value in self._traced.parameters.items():
            for axis, ids in enumerate(value.axes):
                places: dict[int, dict[int, list[int]]] = {}
                for index, root in enumerate(self._numbers.find(ids).tolist()):
                    homes = [home[atom] for atom in self._expand(root) if atom in home]
                    for k, unit in homes:
                        places.setdefault(k, {}).setdefault(unit, []).append(index)
                        rivals.setdefault(k, set()).update(other for other, _ in homes if other != k)
                for k, by_unit in places.items():
                    every = tuple(tuple(by_unit.get(unit, ())) for unit in range(len(sets[k])))
                    role = roles.get((name, int(ids[0])), "treats")
                    members.setdefault(k, []).append(Member(name, axis, every, role))
        return members, rivals

    def _protected(self, home: Mapping[int, tuple[int, int]]) -> dict[str, str]:
        """Layers of which nothing can go; the first reason that any of their channels has."""
        protected = {**self._traced.outside}
        for birth in self._traced.notes.births:
            if self._of([birth.ids]) & home.keys():
                continue
            reasons = (self._numbers.why(root) for root in self._numbers.find(birth.ids).tolist())
            why = next((reason for reason in reasons if reason), "all of its channels would have to go together")
            protected.setdefault(owner(birth.layer), why)
        return protected


def owner(parameter: str) -> str:
    """The module that holds a parameter; a bare one's own name where that is the model itself."""
    return parameter.rpartition(".")[0] or parameter


def _common(parameters: Sequence[str]) -> str:
    """The innermost module that holds all of these layers, but no layer itself."""
    paths = [name.split(".")[: -2 if name.endswith(".weight") else -1] for name in parameters]
    return ".".join(_shared(paths))


def _shared(paths: Sequence[Sequence[str]]) -> Iterator[str]:
    for parts in zip(*paths, strict=False):
        if len({*parts}) > 1:
            return
        yield parts[0]


def _top(leader: dict[int, int], atom: int) -> int:
    while leader[atom] != atom:
        leader[atom] = leader[leader[atom]]
        atom = leader[atom]
    return atom


def _merge(leader: dict[int, int], one: int, other: int) -> None:
    first, second = sorted((_top(leader, one), _top(leader, other)))
    leader[second] = first
