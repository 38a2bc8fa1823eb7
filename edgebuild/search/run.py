"""A search from its first recipe to its end: proposes, tries and tells until satisfied, flat or out of budget."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebuild.search import pareto
from edgebuild.search.trial import Trial
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from edgebuild.search.ladder import Ladder
    from edgebuild.search.study import Study

_BATCH = 8
_FLAT = 60  # recipes in a row that add nothing
_NOTHING = 0.002  # of the box of all that may be: what adds less adds nothing
_HOPELESS = 40  # recipes, none of which could be planned


@dataclass(frozen=True, slots=True)
class Budget:
    """Recipes in all, and when time is over (s, monotonic clock)."""

    trials: int
    until: float


# Called with what became of a batch, and all that is known.
Watch = Callable[[list[Trial], list[Trial]], None]


def search(study: Study, ladder: Ladder, budget: Budget, watch: Watch, keep: Callable[[], None]) -> str:
    """Try recipes; why it ended. `keep` is called after each batch, whatever comes then.

    UsageError for a space of which no recipe can be planned.
    """
    while (why := _ended(study, budget)) is None:
        drafts = study.propose(min(_BATCH, budget.trials - len(study.trials)))
        if not drafts:
            return "every recipe of the space was tried"
        trials = ladder.climb(drafts)
        study.tell(trials)
        keep()
        watch(trials, study.trials)
        _refuse_hopeless(study)
    return why


def _ended(study: Study, budget: Budget) -> str | None:
    """Why there is nothing more to do; None where there is."""
    known = study.trials
    if any(trial.satisfies for trial in known):
        return "a recipe within all goals was found"
    if len(known) >= budget.trials:
        return f"{budget.trials} recipes were tried"
    if time.monotonic() >= budget.until:
        return "the time is over"
    if study.size is not None and len(known) >= study.size:
        return "every recipe of the space was tried"
    if is_flat(known):
        return f"the last {_FLAT} recipes added nothing"
    return None


def is_flat(known: list[Trial]) -> bool:
    """Whether something passes, and the last recipes have added nothing to it."""
    before = _volume(known[:-_FLAT])
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
