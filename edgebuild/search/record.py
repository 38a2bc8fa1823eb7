"""What a search has come to, kept in the project: its trials, the points worth having, and which one builds take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgebuild.engine import digests
from edgebuild.search import pareto
from edgebuild.search.trial import Trial
from edgebuild.search.trial import recipe as recipe_of
from edgebuild.spec import documents
from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import suggest
from edgebuild.spec.space import text
from edgebuild.spec.target import SEARCHED, Gate, Recipe

FILE, JOURNAL, PLOT = "result.json", "journal.log", "plot.html"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many step executions trials asked for, and how many of these ran: the others came from the store."""

    asked: int = 0
    ran: int = 0

    @property
    def shared(self) -> float:
        """The share that came from the store."""
        return 1 - self.ran / self.asked if self.asked else 0.0

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(self.asked + other.asked, self.ran + other.ran)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The float model's own file in one format: bytes, and seconds on the target."""

    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """A search: of which model on which target, held to which gates; why it ended, after how many seconds in all.

    `name` is that of all runs which ask the same. `taken` is the number of the trial that builds take; None where none
    passes. `size` is that of the space, where it can be told.
    """

    name: str
    target: str
    model: str
    space: str
    gates: tuple[Gate, ...]
    baselines: dict[str, Baseline]
    trials: tuple[Trial, ...]
    ended: str
    seconds: float
    steps: Counts = Counts()
    size: int | None = None
    taken: int | None = None
    notices: tuple[str, ...] = ()

    @property
    def front(self) -> tuple[Trial, ...]:
        """The points worth having, the cheapest first."""
        return pareto.front(self.trials)

    @property
    def missed(self) -> Trial | None:
        """Of trials that a gate stopped, the one that missed by least, measured if any was."""
        stopped = [trial for trial in self.trials if trial.misses]
        return min(stopped, key=lambda trial: (trial.point is None, trial.excess), default=None)

    def trial(self, number: int) -> Trial:
        """The trial with this number; UsageError where there is none."""
        numbers = {trial.number: trial for trial in self.trials}
        if number not in numbers:
            hint = suggest(str(number), [str(trial.number) for trial in self.front])
            raise UsageError(f"the search of {self.model} on {self.target} has no trial {number}", hint=hint)
        return numbers[number]

    def recipe(self, number: int) -> Recipe:
        """What a trial applies, as a recipe."""
        name = f"{SEARCHED} #{number}"
        return recipe_of(self.trial(number).steps, f"{self.target}/{self.model}, trial {number} of its search", name)

    def told(self, number: int) -> str:
        """A trial's recipe in one line."""
        return text(self.recipe(number))

    def takes(self, number: int) -> Result:
        """The same where builds take another trial."""
        return replace(self, taken=self.trial(number).number)


def write(place: Path, result: Result) -> None:
    """Keep it in the place of the one before."""
    fresh = place / f"{FILE}.new"
    documents.write(fresh, result)
    fresh.replace(place / FILE)


def read(place: Path) -> Result | None:
    """The last search; None where there was none. UsageError for one of another version of edgebuild."""
    file = place / FILE
    return documents.read(Result, file) if file.is_file() else None


def name_of(parts: Sequence[object]) -> str:
    """What two searches share that ask the same of the same."""
    return digests.of_json([digests.plain(part) for part in parts])[:16]
