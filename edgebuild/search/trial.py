"""What became of one recipe in a search: how far it was tried, what it is worth, and why it is not among the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgebuild.spec.target import Recipe, StepSpec

# How far a recipe was tried: only planned, held against bounds, counted untrained, trained a little, tried whole.
Rung = Literal["planned", "bounded", "counted", "short", "whole"]
Status = Literal["passes", "rejected", "behind"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a recipe that was tried."""

    use: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, recipe: Recipe) -> tuple[Step, ...]:
        """The steps of a recipe."""
        return tuple(cls(line.use, line.options) for line in recipe.steps)


def recipe(steps: tuple[Step, ...], file: str, name: str | None = None) -> Recipe:
    """The recipe with these steps; `file` is named where one is wrong."""
    lines = tuple(StepSpec(step.use, step.options, f"steps[{n}]", file) for n, step in enumerate(steps))
    return Recipe(lines, name=name)


@dataclass(frozen=True, slots=True)
class Miss:
    """A gate that a recipe does not pass here: the verdict's reason, and by which share of the limit it is beyond."""

    gate: str
    limit: str
    excess: float
    reason: str

    def __str__(self) -> str:
        """In one line."""
        return f"{self.gate} {self.limit!r}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Loss:
    """What a recipe's answers lost by the gate that is nearest to its limit: estimate and one-sided limits in the
    gate's own unit, and the estimate as a share of the limit (1 is just there), on n validation examples.

    `wrong` are the numbers of those that it answers wrongly, where answers are right or wrong: two recipes are compared
    by these.
    """

    metric: str
    unit: str
    n: int
    share: float
    estimate: float
    low: float
    high: float
    wrong: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """What a recipe comes to in the format that is the fastest of those within the limits on what is counted.

    `seconds` have an interval, from the error band of a prediction or the spread of processes, and `apart` is the share
    by which two such times must differ to be told apart; `bytes` are those that travel, `size` those of the file.
    `time_share` and `bytes_share` are against the float model in the same format.
    """

    format: str
    seconds: float
    seconds_low: float
    seconds_high: float
    apart: float
    bytes: int
    size: int
    time_share: float
    bytes_share: float
    loss: Loss | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A recipe that was tried, by its number in the search.

    `refused_at` is the place of the step that refuses what comes to it in every recipe that begins so.
    """

    number: int
    values: Mapping[str, Any]
    steps: tuple[Step, ...]
    rung: Rung
    status: Status
    reason: str
    point: Point | None = None
    misses: tuple[Miss, ...] = ()
    short: float | None = None
    satisfies: bool = False
    refused_at: int | None = None

    @property
    def passes(self) -> bool:
        """Whether no gate that a search can look at stops it."""
        return self.status == "passes"

    @property
    def excess(self) -> float:
        """By which share of a limit the worst gate is missed; infinite where there is nothing to be measured."""
        if self.passes:
            return 0.0
        return max((miss.excess for miss in self.misses), default=float("inf"))
