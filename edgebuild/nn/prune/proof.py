"""Which groups a module can really lose: each is taken out of a copy, which must answer as if it had been silent.

What follows from the graph can be right and the code still not follow: a size that is written into it, a scale that
is computed from a size. So what can be corrected is (attributes that hold sizes), and what does not stand the trial
is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgebuild.nn import halving
from edgebuild.nn.prune import sizes, trial
from edgebuild.nn.prune.dependencies import Dependencies, Group, numbers_of
from edgebuild.nn.prune.sizes import Correction
from edgebuild.nn.prune.slicing import take_out
from edgebuild.nn.prune.trace.fate import fate
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]
    Chosen = Sequence[tuple[Group, Collection[int]]]

_SEED, _GOLDEN = 0, (5**0.5 - 1) / 2
_ALL, _NONE, _BUT = "all attributes", "no attribute", "all but "


@dataclass(frozen=True, slots=True)
class Proven:
    """Groups that the module can lose units of, with the attributes that say how many; and why it cannot lose others.

    together: those that can be decided side by side, by their place in `dependencies.groups`; rivals are left out
    refused: groups that cannot go, where no rival goes in their place
    """

    dependencies: Dependencies
    together: tuple[Group, ...]
    corrections: tuple[Correction, ...]
    refused: Mapping[Group, str]

    def remove(self, module: nn.Module, chosen: Chosen) -> None:
        """Take units, by number, out of the module or of a copy of it; all at once, for those that are left move.

        ValueError where that would leave nothing of a group.
        """
        for group, units in chosen:
            if len({*units}) >= len(group.units):
                raise ValueError(f"nothing of {group.name!r} would be left")
        take_out(module, self.dependencies.traced, numbers_of(chosen), self.corrections)

    def without(self, chosen: Chosen) -> Proven:
        """What is left once these units are gone: what could go once can go again, so nothing is tried anew."""
        ends = fate(self.dependencies.traced.numbers, numbers_of(chosen))
        left = self.dependencies.without(chosen)
        able = {unit for group in self.together for unit in group.units}
        corrections = [replace(one, ids=ends.rest(one.ids)) for one in self.corrections]
        together = tuple(group for group in left.groups if able.issuperset(group.units))
        return Proven(left, together, tuple(corrections), self.refused)


def proven(
    module: nn.Module, example: Example, dependencies: Dependencies, eligible: Callable[[Group], bool] = lambda _: True
) -> Proven:
    """Try all groups that are eligible; the module is not changed."""
    places = [place for place, group in enumerate(dependencies.groups) if eligible(group)]
    return _Trials(module, example, dependencies, places).proven() if places else Proven(dependencies, (), (), {})


def broken(module: nn.Module, example: Example, known: Proven, chosen: Chosen) -> dict[Group, str]:
    """The groups without these very units a copy of the module does not run or answer as if they were silent, and why.

    Other trials take units by chance, so code that does otherwise for fewer of them, or for some, can have passed.
    """
    tried, traced = trial.prepared(module, example), known.dependencies.traced
    able = [one for one in chosen if one[1]]

    def fault(some: Chosen) -> str | None:
        try:
            answers = tried.pruned(lambda copy: known.remove(copy, some))
        except Exception as error:  # a forward pass may fail in any way
            if exhausted(error):
                raise
            first = str(error).strip().partition("\n")[0][:160]
            return f"without its least channels the model does not run ({type(error).__name__}: {first})"
        if tried.fits(answers, tried.silenced(traced, numbers_of(some))):
            return None
        return "without its least channels the model does not answer as if they were silent"

    return {able[place][0]: why for place, why in halving.unsound(able, fault).items()}


@dataclass(frozen=True, slots=True)
class _Tried:
    place: int
    mode: str


class _Trials:
    def __init__(self, module: nn.Module, example: Example, dependencies: Dependencies, places: Sequence[int]) -> None:
        self._found, self._trial = dependencies, trial.prepared(module, example)
        self._draws = _Draws([len(group.units) for group in dependencies.groups])
        units = {place: {*dependencies.groups[place].units} for place in places}
        self._all = {place: sizes.candidates(module, dependencies.traced, gone) for place, gone in units.items()}
        self._faults: dict[tuple[frozenset[int], frozenset[Correction], int], str | None] = {}
        unread = {name for name, _ in module.named_parameters()} - {*dependencies.traced.parameters}
        self._trains = bool(unread) and self._trial.trains()  # which reads more than the trace of evaluation

    def proven(self) -> Proven:
        groups = self._found.groups
        good: list[_Tried] = []
        bad: dict[int, str] = {}
        while fresh := self._next(good, bad):
            passed, failed = self._round(fresh)
            joint = halving.unsound([*good, *passed], self._fault)
            every = [*good, *passed]
            bad |= failed | {every[k].place: why for k, why in joint.items()}
            good = [one for k, one in enumerate(every) if k not in joint]
        able = sorted(good, key=lambda one: one.place)
        corrections = [one for tried in able for one in self._chosen(tried)]
        taken = {one.place for one in able}
        refused = {groups[k]: why for k, why in bad.items() if not self._found.rivals[k] & taken}
        return Proven(self._found, tuple(groups[one.place] for one in able), tuple(corrections), refused)

    def _next(self, good: Sequence[_Tried], bad: Mapping[int, str]) -> list[int]:
        """Groups not yet tried that have no rival among the good: heads before channels, many units before few."""
        groups, taken = self._found.groups, {one.place for one in good}
        order = sorted(self._all, key=lambda k: (groups[k].kind != "heads", -len(groups[k].units), k))
        fresh: list[int] = []
        for k in order:
            if k not in taken and k not in bad and not self._found.rivals[k] & (taken | {*fresh}):
                fresh.append(k)
        return sorted(fresh)

    def _round(self, fresh: Sequence[int]) -> tuple[list[_Tried], dict[int, str]]:
        """Those that pass in any mode, and why the others do not in the first."""
        passed: list[_Tried] = []
        reasons: dict[int, str] = {}
        left = [*fresh]
        for mode in self._modes(fresh):
            able = [_Tried(k, mode) for k in left if mode in (_ALL, _NONE) or mode in self._own_modes(k)]
            if mode == _NONE:
                able = [one for one in able if self._all[one.place]]
            bad = self._unsound(able)
            passed += [one for k, one in enumerate(able) if k not in bad]
            for k, why in bad.items():
                reasons.setdefault(able[k].place, why)
            done = {one.place for one in passed}
            left = [k for k in left if k not in done]
        return passed, {k: reasons[k] for k in left}

    def _unsound(self, able: Sequence[_Tried]) -> dict[int, str]:
        """Found in one draw, which is enough but for widths that the code takes for one another."""
        bad = halving.unsound(able, lambda chosen: self._fault_of(chosen, 0))
        good = [one for k, one in enumerate(able) if k not in bad]
        return bad if not good or self._fault(good) is None else halving.unsound(able, self._fault)

    def _modes(self, fresh: Sequence[int]) -> list[str]:
        own = dict.fromkeys(mode for k in fresh for mode in self._own_modes(k))
        return [_ALL, _NONE, *sorted(own, key=lambda mode: mode.startswith(_BUT))]

    def _own_modes(self, place: int) -> list[str]:
        """One attribute alone, and all but one whose value is another's as well: it may have it by chance."""
        every = self._all[place]
        alone = dict.fromkeys(one.name for one in every)
        values = [(one.module, len(one.ids)) for one in every]
        chance = dict.fromkeys(one.name for one, value in zip(every, values, strict=True) if values.count(value) > 1)
        other = len(alone) > 1 or not all(one.innermost for one in every)
        return [*(alone if other else ()), *(f"{_BUT}{name}" for name in chance if len(alone) > 2)]

    def _chosen(self, tried: _Tried) -> list[Correction]:
        every, mode = self._all[tried.place], tried.mode
        if mode == _NONE:
            return []
        if mode == _ALL or mode.startswith(_BUT):
            return [one for one in every if one.innermost and one.name != mode.removeprefix(_BUT)]
        return [one for one in every if one.name == mode]

    def _fault(self, chosen: Sequence[_Tried]) -> str | None:
        """Why a copy cannot lose some of the units of these, None when it can."""
        draws = range(self._draws.count if len(chosen) > 1 else 2)  # one alone need not be told from others
        return next((why for draw in draws if (why := self._fault_of(chosen, draw)) is not None), None)

    def _fault_of(self, chosen: Sequence[_Tried], draw: int) -> str | None:
        corrections = [one for tried in chosen for one in self._chosen(tried)]
        key = frozenset(one.place for one in chosen), frozenset(corrections), draw
        if key not in self._faults:
            self._faults[key] = self._run([one.place for one in chosen], corrections, draw)
        return self._faults[key]

    def _run(self, places: Sequence[int], corrections: Sequence[Correction], draw: int) -> str | None:
        traced, groups = self._found.traced, self._found.groups
        noun = groups[places[0]].kind if len(places) == 1 else "channels"
        gone = {groups[place].units[k] for place in places for k in self._drawn(place, draw)}
        try:
            answers = self._trial.pruned(lambda module: take_out(module, traced, gone, corrections))
        except Exception as error:  # a module that lost the wrong thing fails in any way
            if exhausted(error):
                raise
            first = str(error).strip().partition("\n")[0][:160]
            return f"without some of its {noun} the model does not run ({type(error).__name__}: {first})"
        if not self._trial.fits(answers, self._trial.silenced(traced, gone)):
            return f"without some of its {noun} the model does not answer as if they were silent"
        if self._trains and not self._trial.trains(lambda module: take_out(module, traced, gone, corrections)):
            return f"without some of its {noun} the model does not run in training mode"
        return None

    def _drawn(self, place: int, draw: int) -> list[int]:
        drawn = self._draws.units(place, draw)
        return self._found.groups[place].spared(drawn, len(drawn))


class _Draws:
    """Which units of each group go in each of several draws; `count` of these tell any two groups apart.

    Code that takes the width of one group for that of another runs while both lose as many. In the first draw each
    group loses another share, the multiples of the golden ratio being as far from each other as can be (Knuth, TAOCP
    6.4). In the second the first half goes: where code cuts at a place of its own, fixed or reckoned from what is left,
    the pieces are then others, while in another draw they may be the same. In the rest two groups of as many units
    lose another number at least once: the digits of their rank.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._ranks = [sizes[:place].count(size) for place, size in enumerate(sizes)]
        self.count = 2 + max((_digits(sizes.count(size), _base(size)) for size in {*sizes}), default=0)

    def units(self, place: int, draw: int) -> list[int]:
        """Places of the units that go, of a group by its place."""
        import torch

        size = self._sizes[place]
        share = 0.2 + 0.6 * ((place + 1) * _GOLDEN % 1)
        gone = min(size - 1, max(1, round(share * size)))
        if draw == 1:
            return [*range(size // 2)]
        drawn = torch.randperm(size, generator=torch.Generator().manual_seed(_SEED + place))
        if draw:
            digit = self._ranks[place] // _base(size) ** (draw - 2) % _base(size)
            gone = digit if size == 2 else digit + 1
        return sorted(drawn[:gone].tolist())


def _base(size: int) -> int:
    """How many numbers of units can go: of two, none or one; of more, at least one."""
    return max(2, size - 1)


def _digits(count: int, base: int) -> int:
    """How many digits tell so many numbers apart."""
    return next(digits for digits in range(count + 1) if base**digits >= count)
