"""How two bundles differ, as data: everything of `a` beside that of `b`, or a reason why it cannot be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from edgebuild.bundle.facts import Standing
from edgebuild.bundle.history import Middles
from edgebuild.spec.documents import named
from edgebuild.spec.evidence import Rate
from edgebuild.spec.target import Fidelity

Value = TypeVar("Value")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Sides(Generic[Value]):
    """The same of both bundles."""

    a: Value
    b: Value

    def each(self, make: Callable[[Value], Made]) -> Sides[Made]:
        """What is made of either."""
        return Sides(make(self.a), make(self.b))

    @property
    def same(self) -> bool:
        """Whether both are equal."""
        return self.a == self.b


@dataclass(frozen=True, slots=True)
class About:
    """Which bundle it is."""

    folder: Path
    target: str
    model: str
    format: str
    status: Standing
    edgebuild: str


@dataclass(frozen=True, slots=True)
class Operators:
    """How many operators of each kind the files have; none, with a reason, where one cannot be read here."""

    counts: Mapping[str, Sides[int]] | None = field(default=None, metadata=named("counts"))
    reason: str | None = field(default=None, metadata=named("reason"))


@dataclass(frozen=True, slots=True)
class HeadAnswers:
    """Right answers of a head on n examples each; the numbers of those that b alone gets wrong, and right."""

    rates: Sides[Rate]
    n: int
    lost: tuple[int, ...] | None = field(default=None, metadata=named("lost"))
    won: tuple[int, ...] | None = field(default=None, metadata=named("won"))
    reason: str | None = field(default=None, metadata=named("reason"))


@dataclass(frozen=True, slots=True)
class RightAnswers:
    """Those of every head; none, with a reason, where the two have not the same."""

    heads: Mapping[str, HeadAnswers] | None = field(default=None, metadata=named("heads"))
    reason: str | None = field(default=None, metadata=named("reason"))


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of the files and their baselines; a reason where these are times of two machines."""

    seconds: Sides[Middles]
    fidelity: Sides[Fidelity | None]
    reason: str | None = field(default=None, metadata=named("reason"))


@dataclass(frozen=True, slots=True)
class Difference:
    """All of it; `verdicts` by metric and limit, `recipe` and `tools` a line for each thing that differs."""

    bundles: Sides[About]
    weights: Mapping[str, Sides[int]]
    operators: Operators
    accuracy: RightAnswers
    latency: Times
    verdicts: Mapping[str, Sides[str | None]]
    recipe: tuple[str, ...]
    tools: tuple[str, ...]
