"""What each technique of a recipe changed, what it bought and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class State:
    """A model on its way: sizes and operations, and where they are known, counted work and time."""

    bytes: int
    parameters: int
    macs: int
    compressed: int
    instructions: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """What answers lost (a share of right ones, or growth of the mean error), with one-sided 95 % limits."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Proved:
    """One technique: the model before and after it, and what each head's answers lost.

    `useless` where it cost something and bought nothing.
    """

    step: str
    before: State
    after: State
    drops: Mapping[str, Drop]
    gains: tuple[str, ...]
    costs: tuple[str, ...]
    useless: bool


@dataclass(frozen=True, slots=True)
class Validation:
    """How many examples proofs look at, and whether these were cut from the training data."""

    n: int
    cut: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """Every technique of a recipe in turn, and the task of each head.

    `validation` is None where an older edgebuild looked at test examples.
    """

    steps: tuple[Proved, ...]
    tasks: Mapping[str, str]
    validation: Validation | None = None
