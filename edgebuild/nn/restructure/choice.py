"""Which of several changes are made: as many as a budget of accuracy allows, or as a share of the work or time asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgebuild.nn.prune.sensitivity import Quality
from edgebuild.nn.prune.time_budget import TimeBudget
from edgebuild.spec import tasks
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import Head

# The quality of the model with these changes made, by name.
Trial = Callable[[Sequence[str]], Quality]


def refuse_without_choice(heads: Sequence[Head]) -> None:
    """UsageError for a budget where no head's answers are right or wrong."""
    if not any(tasks.of(head).choice for head in heads):
        message = "a budget is one of accuracy, which this task has not"
        raise UsageError(message, option="budget", hint="leave it out")


def within(names: Sequence[str], budget: float, trial: Trial) -> tuple[list[str], dict[str, Any]]:
    """As many as lose no more than `budget` together, each tried in turn, and what each trial gave.

    UsageError where none does.
    """
    whole, accepted = trial([]), list[str]()
    tried: dict[str, Any] = {}
    for name in names:
        after = trial([*accepted, name])
        tried[name] = after.recorded()
        if whole.drop(after) <= budget:
            accepted.append(name)
    if not accepted:
        least = min((whole.accuracy - one["accuracy"] for one in tried.values()), default=0.0)
        message = f"nothing can change within {100 * budget:.3g} pp: what costs least costs {100 * least:.3g} pp"
        raise UsageError(message, option="budget", hint="raise it, or leave it out and fine-tune")
    return accepted, tried


def order(saved: Mapping[str, float], harm: Mapping[str, float]) -> list[str]:
    """The least harm for what is saved first."""
    return sorted(saved, key=lambda name: harm[name] / saved[name])


def for_time(saved: Mapping[str, float], harm: Mapping[str, float], budget: TimeBudget, what: str) -> list[str]:
    """Those that leave no more than the budget of the time, of which each saves a share; UsageError where all together
    do not save as much.
    """
    least = 1 - sum(saved.values())
    if least > budget.time:
        reason = (
            f"{least:.2f} of the layers' time is left when every {what} changes that saves any, not {budget.time:g}"
        )
        raise UsageError(reason, option="budget.time", hint=f"ask for {least:.2f} or more")
    return for_share(saved, harm, 1.0, budget.time)


def for_share(saved: Mapping[str, float], harm: Mapping[str, float], total: float, share: float) -> list[str]:
    """Those that leave no more than `share` of the work, the least harm for what is saved first; all where that is
    not enough.

    What turns out not to be needed is taken back, the most harmful first.
    """
    rest = order(saved, harm)
    chosen: list[str] = []
    while rest and total - sum(saved[name] for name in chosen) > share * total:
        chosen.append(rest.pop(0))
    for name in sorted(chosen, key=lambda name: -harm[name]):
        if total - sum(saved[other] for other in chosen if other != name) <= share * total:
            chosen.remove(name)
    return chosen
