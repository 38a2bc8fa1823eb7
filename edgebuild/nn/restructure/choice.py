"""Which of several changes are made: as many as a budget of accuracy allows, or as a share of the work asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgebuild.nn.prune.sensitivity import Quality
from edgebuild.spec import tasks
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import Head

# The quality of the model with these changes made, by name.
Trial = Callable[[Sequence[str]], Quality]


def refuse_without_choice(heads: Sequence[Head]) -> None:
    """UsageError for a budget where no head's answers are right or wrong."""
    if not any(tasks.of(head).choice for head in heads):
        told = "a budget is one of accuracy, which this task has not"
        raise UsageError(told, option="budget", hint="leave it out")


def within(order: Sequence[str], budget: float, trial: Trial) -> tuple[list[str], dict[str, Any]]:
    """As many as lose no more than `budget` together, each tried in turn, and what each trial gave.

    UsageError where none does.
    """
    whole, made = trial([]), list[str]()
    tried: dict[str, Any] = {}
    for name in order:
        after = trial([*made, name])
        tried[name] = after.recorded()
        if whole.drop(after) <= budget:
            made.append(name)
    if not made:
        least = min((whole.accuracy - one["accuracy"] for one in tried.values()), default=0.0)
        told = f"nothing can change within {100 * budget:.3g} pp: what costs least costs {100 * least:.3g} pp"
        raise UsageError(told, option="budget", hint="raise it, or leave it out and fine-tune")
    return made, tried


def for_share(saved: Mapping[str, int], harm: Mapping[str, float], total: int, share: float) -> list[str]:
    """Those that leave no more than `share` of the work, the least harm for what is saved first; all where that is
    not enough.

    What turns out not to be needed is taken back, the most harmful first.
    """
    order = sorted(saved, key=lambda name: harm[name] / saved[name])
    made: list[str] = []
    while order and total - sum(saved[name] for name in made) > share * total:
        made.append(order.pop(0))
    for name in sorted(made, key=lambda name: -harm[name]):
        if total - sum(saved[other] for other in made if other != name) <= share * total:
            made.remove(name)
    return made
