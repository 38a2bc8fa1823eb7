"""What a search asks for: recipes as they are proposed, and what plans and measures them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edgebuild.search.weighing import Weighed
from edgebuild.spec.evidence import Weight
from edgebuild.spec.target import Recipe
from edgebuild.spec.technique import Technique


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nothing can be known of a recipe: it cannot be planned, or a step of it failed.

    `place` is that of the step in the recipe, where it refused what the steps before it make untrained: no recipe that
    begins so can do better.
    """

    reason: str
    planned: bool = False
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """A recipe whose files are to be counted untrained, in these formats; in all where none is named."""

    recipe: Recipe
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """A recipe whose file's answers are to be known in one format: these `alone`, or `again` with what is counted."""

    recipe: Recipe
    format: str
    alone: bool = False
    again: bool = False


Measured = tuple[Weighed, ...] | Refused | None  # a recipe's files by format; None where the time did not suffice


class Bench(Protocol):
    """What plans recipes and measures them."""

    @property
    def baselines(self) -> Mapping[str, Weight]:
        """What the float model's own file weighs, by format."""

    def steps(self, recipe: Recipe) -> tuple[Technique, ...] | Refused:
        """The steps of a recipe, if it can be planned."""

    def measure(self, candidates: Sequence[Counted | Answered]) -> list[Measured]:
        """What is counted of each, or what its file answers to the examples that choose; all side by side."""

    def short(self, recipe: Recipe) -> Recipe | None:
        """The same with brief trainings; None where there is none in it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A recipe as it was proposed."""

    number: int
    values: Mapping[str, Any]
    recipe: Recipe
