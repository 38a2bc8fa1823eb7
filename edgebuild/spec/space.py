"""A space of recipes: steps that may be in one, the values that their options may take, and when and in what order."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, Literal, NamedTuple

from edgebuild.spec.target import GateSpec, Recipe, StepSpec

Json = Any  # what a file in TOML or JSON holds
Sampler = Literal["tpe", "nsga2"]


@dataclass(frozen=True, slots=True)
class Choices:
    """Values without an order among them."""

    values: tuple[Json, ...]

    def every(self) -> Sequence[Json] | None:
        """All values."""
        return self.values


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included, in steps of `step` where there is one; with `log` by their ratio."""

    low: float
    high: float
    step: float | None = None
    log: bool = False
    whole: bool = False

    def every(self) -> Sequence[Json] | None:
        """All values, where they are countable."""
        if self.step is None:
            return None
        count = math.floor((self.high - self.low) / self.step + 1e-9)
        return [self.value(self.low + number * self.step) for number in range(count + 1)]

    def value(self, number: float) -> Json:
        """A number of the range as an option takes it: no more digits than were written."""
        return round(number) if self.whole else float(f"{number:.10g}")


Domain = Choices | Range
# Asked for the value of one dimension, by its name.
Draw = Callable[[str, Domain], Json]


class Condition(NamedTuple):
    """A step that must be in the recipe, or the value that an option of it must have there."""

    step: str
    option: str = ""
    compare: str = ""
    value: Json = None

    def holds(self, chosen: Mapping[str, Mapping[str, Json]]) -> bool:
        """Whether it does in a recipe of these steps by name, each with its options."""
        if self.step not in chosen or not self.option:
            return self.step in chosen
        own = chosen[self.step].get(self.option)
        try:
            return bool(COMPARE[self.compare](own, self.value))
        except TypeError:
            return False


COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """One technique with its options: each a value, a domain, or a table in which there are some."""

    use: str
    options: Mapping[str, Json]
    key: str


@dataclass(frozen=True, slots=True)
class Line:
    """A place in the recipe: one of its `ways` where any condition of `when` holds (or there is none), and where it is
    `optional` perhaps nothing.
    """

    name: str
    ways: tuple[Way, ...]
    optional: bool = False
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Fits:
    """Which models a space is the usual one for: those that can be trained or not, and of these tasks (empty: any)."""

    trainable: bool | None = None
    tasks: tuple[str, ...] = ()

    def of(self, *, trainable: bool, tasks: Collection[str]) -> bool:
        """Whether a model is one of these; a space that says nothing is nobody's usual one."""
        if self.trainable is None and not self.tasks:
            return False
        return self.trainable in (None, trainable) and (not self.tasks or {*tasks} <= {*self.tasks})

    @property
    def narrow(self) -> int:
        """How much it says: of two that fit the one that says more is taken."""
        return (self.trainable is not None) + 2 * bool(self.tasks)


@dataclass(frozen=True, slots=True)
class Space:
    """Recipes to choose from. The steps named in one row of `order` may follow each other in any order.

    `goals` are limits with which a search is satisfied, `starts` values by dimension that are tried first.
    """

    name: str
    file: str
    description: str
    lines: tuple[Line, ...]
    order: tuple[tuple[str, ...], ...] = ()
    goals: tuple[GateSpec, ...] = ()
    starts: tuple[Mapping[str, Json], ...] = ()
    sampler: Sampler = "tpe"
    fits: Fits = field(default_factory=Fits)

    def recipe(self, draw: Draw) -> Recipe:
        """The recipe that these values make; only dimensions that it has are asked for."""
        chosen: dict[str, dict[str, Json]] = {}
        steps: dict[str, StepSpec] = {}
        for line in self.lines:
            if self._is_in(line, chosen, draw):
                way = line.ways[0]
                if len(line.ways) > 1:
                    use = draw(f"{line.name}.use", Choices(tuple(each.use for each in line.ways)))
                    way = next(each for each in line.ways if each.use == use)
                prefix = line.name if len(line.ways) == 1 else f"{line.name}.{way.use}"
                options = {name: _drawn(f"{prefix}.{name}", value, draw) for name, value in way.options.items()}
                chosen[line.name] = options
                steps[line.name] = StepSpec(way.use, options, way.key, self.file)
        return Recipe(tuple(steps[name] for name in self._ordered([*steps], draw)))

    def dimensions(self) -> dict[str, Domain]:
        """Every dimension that some recipe has, by name."""
        by_name: dict[str, Domain] = {}
        for line in self.lines:
            if line.optional:
                by_name[line.name] = _SWITCH
            if len(line.ways) > 1:
                by_name[f"{line.name}.use"] = Choices(tuple(way.use for way in line.ways))
            for way in line.ways:
                prefix = line.name if len(line.ways) == 1 else f"{line.name}.{way.use}"
                for name, value in way.options.items():
                    by_name |= dict(domains(f"{prefix}.{name}", value))
        for number, row in enumerate(self.order):
            by_name[f"order[{number}]"] = _orders(row)
        return by_name

    @staticmethod
    def _is_in(line: Line, chosen: Mapping[str, Mapping[str, Json]], draw: Draw) -> bool:
        if line.when and not any(condition.holds(chosen) for condition in line.when):
            return False
        if any(condition.holds(chosen) for condition in line.unless):
            return False
        return not line.optional or bool(draw(line.name, _SWITCH))

    def _ordered(self, names: list[str], draw: Draw) -> list[str]:
        """The names with those of each row of `order` in the places that these have, as it is drawn."""
        for number, row in enumerate(self.order):
            present = [name for name in names if name in row]
            if len(present) > 1:
                drawn = str(draw(f"order[{number}]", _orders(row))).split(", ")
                sequence = iter([name for name in drawn if name in present])
                names = [next(sequence) if name in row else name for name in names]
        return names


_SWITCH = Choices((False, True))
_NEXT = " → "  # between two steps of a recipe in one line


def _orders(row: Sequence[str]) -> Choices:
    return Choices(tuple(", ".join(each) for each in permutations(row)))


def _drawn(name: str, value: Json, draw: Draw) -> Json:
    """The value of an option, and of what is in its table."""
    if isinstance(value, Choices | Range):
        return draw(name, value)
    if isinstance(value, Mapping):
        return {key: _drawn(f"{name}.{key}", each, draw) for key, each in value.items()}
    return value


def domains(name: str, value: Json) -> Iterator[tuple[str, Domain]]:
    """The dimensions in the value of an option, by name."""
    if isinstance(value, Choices | Range):
        yield name, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from domains(f"{name}.{key}", each)


def text(recipe: Recipe) -> str:
    """A recipe in one line: `prune_channels ratio=0.5 → int8`; two that are equal do the same."""
    return _NEXT.join(" ".join([step.use, *_options(step.options)]) for step in recipe.steps) or "nothing"


def begins(recipe: str, beginning: str) -> bool:
    """Whether a recipe has the steps of another in front; both as `text` writes them."""
    return recipe == beginning or recipe.startswith(f"{beginning}{_NEXT}")


def _options(options: Mapping[str, Json]) -> list[str]:
    """In the order of their names, which is that of any document."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()}
    return [f"{name}={texts[name]}" for name in sorted(texts)]
