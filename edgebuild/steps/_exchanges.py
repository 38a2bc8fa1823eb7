"""What techniques share that exchange layers: which can and pay, which change, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from edgebuild.nn.prune import time_budget
from edgebuild.nn.prune.sensitivity import Quality
from edgebuild.nn.prune.time_budget import TimeBudget
from edgebuild.nn.restructure import choice, stand_ins, times
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.nn.restructure.times import Exchange, Times
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import Head

if TYPE_CHECKING:
    from torch import Tensor, nn

Exchanges = Mapping[str, Exchange]
Budget = TimeBudget | float | None
Part = TypeVar("Part")
WHOLE = ""  # the name under which the quality of the model as it is stands


def exchangeable(
    module: nn.Module, example: tuple[Tensor, ...], able: Mapping[str, Part], swap: Callable[[str], Swap]
) -> tuple[dict[str, Part], list[str]]:
    """Those for which the module's code lets their swaps stand, and a line for each of the others; UsageError where
    these are all.
    """
    reasons = stand_ins.unable(module, example, {name: swap(name) for name in able})
    left, lines = {name: one for name, one in able.items() if name not in reasons}, stand_ins.remarks(reasons)
    if lines and not left:
        hint = "let the code take sizes and types from its values (x.dtype), or leave the step out"
        raise UsageError(f"nothing can be exchanged: {'; '.join(lines)}", hint=hint)
    return left, lines


def paying(able: Exchanges, clock: Times, reason: str) -> dict[str, Exchange]:
    """Those that save time; UsageError with the `reason` and what each takes where none does."""
    saving = {name: one for name, one in able.items() if clock.pays(one)}
    if not saving:
        (line,) = times.remarks(clock, able, [], {name: clock.why_not(one) for name, one in able.items()})
        raise UsageError(f"{reason}: {line}", hint="leave the step out: it does not pay here")
    return saving


def chosen(
    budget: Budget,
    paid: Exchanges,
    clock: Times,
    trial: Callable[[Sequence[str]], Quality],
    heads: Sequence[Head],
    what: str,
) -> tuple[list[str], dict[str, Quality]]:
    """Those that change: all, or as the budget says, those first that raise the loss least for what they save; and the
    quality of the model with each alone.
    """
    if budget is None:
        return [*paid], {}
    tried = {WHOLE: trial([])} | {name: trial([name]) for name in paid}
    harm = {name: tried[name].loss - tried[WHOLE].loss for name in paid}
    saved = {name: clock.saved(one) if clock.counted or clock.saved(one) > 0 else 1.0 for name, one in paid.items()}
    if isinstance(budget, TimeBudget):
        return choice.for_time(saved, harm, budget, what), tried
    choice.refuse_without_choice(heads)
    return choice.within(choice.order(saved, harm), budget, trial)[0], tried


def lines(able: Exchanges, names: Sequence[str], clock: Times, budget: Budget) -> list[str]:
    """What is left of the time, what changed, and what stays and why."""
    rest = "not needed" if isinstance(budget, TimeBudget) else "it would lose more than the budget"
    reasons = {name: clock.why_not(one) or rest for name, one in able.items()}
    left = clock.left([able[name] for name in names])
    return [*time_budget.remarks({"time": left}), *times.remarks(clock, able, names, reasons)]
