"""A search from its first recipe to its end: proposes, tries and tells until satisfied, flat or out of budget."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgebuild.search import pareto
from edgebuild.search.bench import Draft
from edgebuild.search.trial import Trial
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from edgebuild.search.study import Study

_BATCH = (2, 16)  # recipes that are tried at once: fewer teach the sampler sooner, more leave no core without work
_ROUNDS = 12  # that there are to be at least
_FIRST = 4  # recipes at once at the beginning: which format is the fastest is soon known then, and counted alone
_FLAT = 60  # recipes in a row that add nothing, at least, and this share of those that are allowed
_FLAT_SHARE = 0.5
_NOTHING = 0.002  # of the box of all that may be: what adds less adds nothing
_HOPELESS = 40  # recipes, none of which could be planned


@dataclass(frozen=True, slots=True)
class Budget:
    """Recipes in all, and when time is over (s, monotonic clock)."""

    trials: int
    until: float

    @property
    def batch(self) -> int:
        """How many recipes are tried at once."""
        least, most = _BATCH
        return max(least, min(most, self.trials // _ROUNDS))

    @property
    def patience(self) -> int:
        """How many recipes in a row may add nothing: the more the user grants, the longer it looks."""
        return max(_FLAT, round(_FLAT_SHARE * self.trials))


class Trier(Protocol):
    """What recipes are tried by: the ladder."""

    @property
    def waiting(self) -> int:
        """How many recipes the next `climb` will end."""

    def climb(self, drafts: Sequence[Draft]) -> list[Trial]:
        """What became of those that ended, and of those that waited; nothing of what the time did not suffice for."""


# Called with what became of a batch, and all that is known.
Watch = Callable[[list[Trial], list[Trial]], None]


def search(study: Study, ladder: Trier, budget: Budget, watch: Watch, keep: Callable[[], None]) -> str:
    """Try recipes; why it ended. `keep` is called after each batch, whatever comes then.

    UsageError for a space of which no recipe can be planned.
    """
    while True:
        why, known = _ended(study, budget), len(study.trials)
        if why is not None and (not ladder.waiting or _satisfied(study)):
            return why
        room = 0 if why is not None else budget.trials - known - ladder.waiting
        drafts = study.propose(min(budget.batch, _FIRST + known, room))
        if not drafts and not ladder.waiting:
            return "every recipe of the space was tried"
        trials = ladder.climb(drafts)
        study.tell(trials)
        keep()
        watch(trials, study.trials)
        _refuse_hopeless(study)


def _ended(study: Study, budget: Budget) -> str | None:
    """Why there is nothing more to do; None where there is."""
    known = study.trials
    if _satisfied(study):
        return "a recipe within all goals was found"
    if len(known) >= budget.trials:
        return f"{budget.trials} recipes were tried"
    if time.monotonic() >= budget.until:
        return "the time is over"
    if study.size is not None and len(known) >= study.size:
        return "every recipe of the space was tried"
    if is_flat(known, budget.patience):
        return f"the last {budget.patience} recipes added nothing"
    return None


def _satisfied(study: Study) -> bool:
    return any(trial.satisfies for trial in study.trials)


def is_flat(known: list[Trial], last: int) -> bool:
    """Whether something passes, and so many recipes at the end have added nothing to it."""
    before = _volume(known[:-last])
    return before > 0 and _volume(known) - before < _NOTHING


def _volume(known: list[Trial]) -> float:
    return pareto.hypervolume([pareto.in_box(trial.point) for trial in known if trial.passes and trial.point])


def _refuse_hopeless(study: Study) -> None:
    """UsageError where the space can express nothing for this model."""
    known = study.trials
    if any(trial.rung != "planned" for trial in known):
        return
    if len(known) >= _HOPELESS or len(known) == study.size:
        (reason, _), *_ = Counter(trial.reason for trial in known).most_common(1)
        raise UsageError(f"none of {len(known)} recipes of the space can be planned, as a rule because {reason}")
