"""Builds points of the last search from the safest on, as long as they pass: builds take the cheapest that does.

Which points, and in which order, is known before anything is judged, and the first that does not pass is the end: so
all verdicts together hold at the level of each (Maurer, Hothorn & Lehmacher 1995). Whoever tries points until one
passes is wrong more often than each of the verdicts says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgebuild.search import pareto
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import combine
from edgebuild.verbs import searched
from edgebuild.verbs.build import Outcome, build
from edgebuild.verbs.journal import Journal, Listener
from edgebuild.verbs.request import Request

if TYPE_CHECKING:
    from edgebuild.engine.task import Limits


def prove(request: Request, events: Listener, limits: Limits) -> tuple[list[Outcome], Journal]:
    """What is built in the end: the last that passed, or where none does the first; a notice says of each what its
    verdict is. `request` is for one target and one model, as `edgebuild search --apply` asks it.

    UsageError where there was no search, or it came to nothing.
    """
    (target,), (model,) = request.targets, request.models
    result = searched.look(request.project, target, model)
    ladder = pareto.from_the_safest(result.trials)
    if not ladder:
        raise UsageError(f"the last search for {model} on {target} found no recipe that passes", hint="--show says why")
    passed, notices = None, []
    for trial in ladder:
        outcomes, journal = build(replace(request, trial=trial.number), events, limits)
        status = combine([outcome.verdicts.status for outcome in outcomes])
        notices.append(f"{status}: #{trial.number}, {result.told(trial.number)}")
        events.notice(notices[-1])
        if status != "pass":
            break
        passed = trial.number
    if passed is not None:
        searched.take(request.project, target, model, passed)
        if passed != trial.number:  # what failed lies where the last that passed is to be
            outcomes, journal = build(replace(request, trial=passed), events, limits)
    journal.notices += notices
    return outcomes, journal
