"""Measures the recipes of a search: plans a batch of them in one graph, and brings it up as far as it goes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgebuild.engine.graph import Graph
from edgebuild.engine.store import Store
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.trying import Look, Subject, Trying
from edgebuild.search.bench import Answered, Counted, Measured, Refused
from edgebuild.search.record import Baseline, Counts
from edgebuild.search.weighing import Weighed
from edgebuild.spec import evidence
from edgebuild.spec.errors import EdgebuildError, StepError, UsageError
from edgebuild.spec.evidence import Weight, known
from edgebuild.spec.target import Recipe
from edgebuild.spec.technique import Technique
from edgebuild.verbs.journal import Journal, attempt

if TYPE_CHECKING:
    from edgebuild.engine.scheduler import Attempt
    from edgebuild.engine.task import Limits


@dataclass(slots=True)
class Trials:
    """The bench of a search. `until` (s, monotonic clock) is when it measures no more; `counts` are steps so far."""

    store: Store
    subject: Subject
    journal: Journal
    limits: Limits
    jobs: int
    until: float
    counts: Counts = field(default_factory=Counts)
    _float: tuple[Weighed, ...] = ()
    _instruments: Instruments = field(init=False)
    _planner: Trying = field(init=False)

    def __post_init__(self) -> None:
        """Plan what all trials start from; UsageError for what no build could start from either."""
        self._instruments = Instruments(self.subject.target)
        self._planner = self._trying()
        while (lift := self._planner.weights.undecided) is not None:
            self._planner.graph.keep([lift])
            self._raise(self._run(self._planner.graph, {}), [lift])
            self._planner = self._trying()

    @property
    def planner(self) -> Trying:
        """What the float model is made from, and which steps a recipe has; its graph is never run."""
        return self._planner

    @property
    def notices(self) -> list[str]:
        """What the user should know of devices and formats."""
        return [*self._planner.notices, *self._instruments.notices]

    def start(self, *, taught: bool) -> None:
        """Make the float model and count what it does, and beside it the teachers where recipes are `taught`; raises
        what is wrong with the model.
        """
        trying = self._trying()
        look = trying.counted(Recipe(), "float")
        trying.graph.keep([*look.evidence.values(), *(trying.weights.teachers if taught else ())])
        done = self._run(trying.graph, {"float": look})
        self._raise(done, [*look.evidence.values()])
        self._float = self._files(look, done) or ()
        if not self._float:
            raise UsageError("the time is over before the float model was made", key="--minutes", hint="allow more")

    @property
    def float_files(self) -> dict[str, Baseline]:
        """Bytes and seconds of the float model's own file, by format."""
        return {
            each.format: Baseline(
                known(each.evidence.footprint).baseline.download,
                statistics.median(known(each.evidence.latency).baseline_seconds),
            )
            for each in self._float
        }

    @property
    def baselines(self) -> Mapping[str, Weight]:
        """What the float model's own file weighs, by format."""
        return {each.format: known(each.evidence.footprint).baseline for each in self._float}

    def steps(self, recipe: Recipe) -> tuple[Technique, ...] | Refused:
        """The steps of a recipe, if it can be planned."""
        try:
            self._planner.check(recipe)
            return self._planner.steps(recipe)
        except UsageError as error:
            return Refused(error.line, planned=True)

    def short(self, recipe: Recipe) -> Recipe | None:
        """The same with brief trainings; None where there is none in it."""
        return self._planner.short(recipe)

    def measure(self, candidates: Sequence[Counted | Answered]) -> list[Measured]:
        """What is counted of each, or what its file answers to the examples that choose; all side by side."""
        if not candidates:
            return []
        trying = self._trying()
        looks = {str(place): self._look(trying, one, str(place)) for place, one in enumerate(candidates)}
        trying.graph.keep(item for look in looks.values() for item in look.evidence.values())
        done = self._run(trying.graph, looks)
        return [self._refusal(look, done) or self._files(look, done) for look in looks.values()]

    @staticmethod
    def _look(trying: Trying, one: Counted | Answered, place: str) -> Look:
        if isinstance(one, Counted):
            return trying.counted(one.recipe, place, one.formats)
        return trying.answered(one.recipe, one.format, place, alone=one.alone, again=one.again)

    def _trying(self) -> Trying:
        return Trying(Graph(), self.store, self.subject, self._instruments)

    def _run(self, graph: Graph, looks: Mapping[str, Look]) -> Attempt:
        """Bring up what the looks need, and count how many steps each of them asked for."""
        before = len(self.journal.ran)
        done = attempt(self.store, graph, self.jobs, self.journal, self.limits, self.until)
        requested = sum(len(_needed(graph, look)) for look in looks.values())
        self.counts += Counts(requested, len(self.journal.ran) - before)
        return done

    @staticmethod
    def _refusal(look: Look, done: Attempt) -> Refused | None:
        """Why a step of it failed; a device that broke is no fault of the recipe, and ends the search."""
        failed = next((done.failed[item] for item in look.evidence.values() if item in done.failed), None)
        if failed is None:
            return None
        if isinstance(failed, UsageError | StepError):
            places = [place for item, place in look.places.items() if item in done.failed]
            return Refused(failed.line, place=min(places, default=None))
        raise failed

    def _files(self, look: Look, done: Attempt) -> tuple[Weighed, ...] | None:
        """All evidence of a look by format; None where the time did not suffice for some."""
        if not all(item in done.done for item in look.evidence.values()):
            return None
        folders = {role: self.store.path(done.done[item].output) for role, item in look.evidence.items()}
        return tuple(
            Weighed(name, evidence.gather(folders, name), folders.get(f"accuracy/{name}")) for name in look.formats
        )

    @staticmethod
    def _raise(done: Attempt, items: Sequence[str]) -> None:
        failed: EdgebuildError | None = next((done.failed[item] for item in items if item in done.failed), None)
        if failed is not None:
            raise failed


def _needed(graph: Graph, look: Look) -> set[str]:
    return {item for goal in look.evidence.values() for item in (*graph.upstream(goal), goal)}
