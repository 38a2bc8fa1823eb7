"""Finds the recipe that passes: searches a space of recipes for a model on a target, and keeps what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgebuild import __version__
from edgebuild.engine.store import Store, disk_error
from edgebuild.plan.trying import Subject
from edgebuild.search import record
from edgebuild.search.ladder import Ladder
from edgebuild.search.record import Counts, Result
from edgebuild.search.run import Budget, search
from edgebuild.search.study import Study
from edgebuild.search.trial import Trial
from edgebuild.search.weighing import is_seen
from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import Project
from edgebuild.spec.registry import STEPS
from edgebuild.spec.space import Space
from edgebuild.spec.target import FIDELITIES, Gate
from edgebuild.verbs import searched
from edgebuild.verbs.journal import Journal, Listener, clustered, shared
from edgebuild.verbs.trials import Trials

if TYPE_CHECKING:
    from edgebuild.engine.task import Limits
    from edgebuild.spec.cache import Place


@dataclass(frozen=True, slots=True)
class Request:
    """What to search for: a model on a target, for at most so many seconds and recipes (in all runs together), in the
    space of this name or file (empty: the usual one). `cache` is where results are shared with other machines,
    `cluster` the scheduler of some that run steps.
    """

    project: Project
    target: str
    model: str | None
    seconds: float
    trials: int
    space: str | None = None
    jobs: int = 2
    cache: Place | None = None
    cluster: str | None = None


class Watcher(Listener, Protocol):
    """Who sees a search: the steps that run, and what became of recipes."""

    def advanced(self, result: Result, allowed: int, left: float) -> None:
        """What is known now, of how many recipes there may be, with so many seconds left."""


def run(request: Request, watcher: Watcher, limits: Limits) -> Result:
    """Search, or go on with the search that was begun; what is finished is kept whatever happens."""
    began, project = time.monotonic(), request.project
    target, model = project.target(request.target), searched.model_of(project, request.model)
    subject, space = Subject.of(target, model, project.policy()), None
    place = searched.place(project, target.name, model.name)
    store = Store(project.store)
    try:
        journal = Journal(watcher)
        own, cache = _alone(place, model.name, target.name), shared(request.cache, journal)
        with own, cache, clustered(request.cluster, journal):
            trials = Trials(store, subject, journal, limits, request.jobs, began + request.seconds)
            space = _space(request, trials)
            name = record.name_of([__version__, _about(space), subject.asked, *trials.planner.fingerprint, target])
            return _Search(request, place, subject, space, trials, began).run(name, watcher)
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class _Search:
    """One run of a search; `place` is where it is kept."""

    request: Request
    place: Path
    subject: Subject
    space: Space
    trials: Trials
    began: float

    def run(self, name: str, watcher: Watcher) -> Result:
        """From the first recipe to the end; UsageError for a space that can express nothing."""
        study = Study(self.place / record.JOURNAL, name, self.space)
        before = self._before(name)
        for notice in self._notices():
            watcher.notice(notice)
        self.trials.start(taught=_is_taught(self.space))
        ladder = Ladder(self.trials, self.subject.gates, self._goals(), study.trials)
        budget = Budget(self.request.trials, self.trials.until)

        def so_far(ended: str) -> Result:
            return self._result(name, study, ended, before)

        def keep(ended: str = "it was stopped") -> Result:
            result = so_far(ended)
            record.write(self.place, result)
            return result

        def advanced(tried: list[Trial], known: list[Trial]) -> None:
            watcher.advanced(so_far(""), budget.trials, max(0.0, budget.until - time.monotonic()))

        try:
            ended = search(study, ladder, budget, advanced, _dropping(keep))
        except UsageError as error:
            raise UsageError(error.reason, file=self.space.file, hint=error.hint) from None
        return keep(ended)

    def _before(self, name: str) -> Result | None:
        """What an earlier run of this search has kept."""
        try:
            known = record.read(self.place)
        except UsageError:  # another version's: it begins anew
            return None
        return known if known is not None and known.name == name else None

    def _result(self, name: str, study: Study, ended: str, before: Result | None) -> Result:
        counts = (before.steps if before else Counts()) + self.trials.counts
        result = Result(
            name=name,
            target=self.subject.target.name,
            model=self.subject.model.name,
            space=self.space.file,
            gates=self.subject.asked,
            baselines=self.trials.float_files,
            trials=tuple(sorted(study.trials, key=lambda trial: trial.number)),
            ended=ended,
            seconds=round((before.seconds if before else 0.0) + time.monotonic() - self.began, 1),
            steps=counts,
            size=study.size,
            notices=tuple(self._notices()),
        )
        best = result.front
        return replace(result, taken=best[0].number if best else None)

    def _notices(self) -> list[str]:
        unseen = [f"{gate.metric} {gate.limit!r}" for gate in self.subject.gates if not is_seen(gate)]
        remarks = [f"{', '.join(unseen)}: a search does not look at it, the build judges it"] if unseen else []
        return [*self.trials.notices, *remarks, *self._elsewhere()]

    def _elsewhere(self) -> list[str]:
        cluster = self.trials.journal.cluster
        return (
            [f"{cluster.counts.ran} steps ran on workers of {cluster.address}"]
            if cluster and cluster.counts.ran
            else []
        )

    def _goals(self) -> list[Gate]:
        return [Gate(goal.metric, goal.limit, goal.confidence, FIDELITIES[0], goal.output) for goal in self.space.goals]


def _is_taught(space: Space) -> bool:
    """Whether there are recipes in it that a teacher teaches."""
    return any("teacher" in STEPS.get(way.use).needs for line in space.lines for way in line.ways)


def _dropping(keep: Callable[[], Result]) -> Callable[[], None]:
    def kept() -> None:
        keep()

    return kept


def _about(space: Space) -> Space:
    """The space without what says nothing of its recipes."""
    return replace(space, name="", description="", file="", goals=())


def _space(request: Request, trials: Trials) -> Space:
    """The space that is asked for, or the usual one of such models; UsageError where there is none."""
    project = request.project
    if request.space is not None:
        return project.space(request.space)
    source, heads = trials.planner.weights.source, trials.subject.model.declared.heads
    fitting = [
        space
        for name in project.space_files()
        if (space := project.space(name)).fits.of(trainable=source.trainable, tasks={head.task for head in heads})
    ]
    if not fitting:
        reason = f"no space is the usual one for {trials.subject.model.name}"
        raise UsageError(reason, key="--space", hint="name a file")
    return max(fitting, key=lambda space: space.fits.narrow)


@contextmanager
def _alone(place: Path, model: str, target: str) -> Iterator[None]:
    """Nobody else searches for this model on this target meanwhile; UsageError where somebody does."""
    from filelock import FileLock, Timeout

    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / "lock", timeout=0):
            yield
    except Timeout:
        reason = f"another search for {model} on {target} is under way"
        raise UsageError(reason, file=str(place), hint="wait until it has ended, or stop it") from None
    except OSError as error:
        raise disk_error(error, place) from None
