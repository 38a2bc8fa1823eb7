"""Widths for a share of the time: what each width of each group does to the loss, against what it saves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from edgebuild.nn.prune import knapsack
from edgebuild.nn.prune.cost import Cost, Curve
from edgebuild.nn.prune.work import layer_work
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import LayerShape, WidthCurves
from edgebuild.spec.fields import STRICT

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.prune.sensitivity import Quality, Trial
    from edgebuild.nn.prune.units import Units

    Example = tuple[Tensor, ...]

_MOST = 9  # widths of a group that are tried; between them harm is read by straight lines


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """The share of the layers' time on the target that may be left."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    time: Annotated[float, Field(gt=0, lt=1, description="share of the layers' time on the target that is left")]


@dataclass(frozen=True, slots=True)
class Clock:
    """What a module's layers cost by width: of all runtimes together, and of each by its name.

    counted: whether that is counted time; else multiply-accumulates stand in for it
    """

    together: Cost
    each: Mapping[str, Cost]
    counted: bool


def clock(module: nn.Module, example: Example, units: Sequence[Units], runtimes: Mapping[str, WidthCurves]) -> Clock:
    """By the curves of each runtime; by multiply-accumulates where there is none."""
    work = layer_work(module, example)
    lengths = {name: tuple(value.shape) for name, value in [*module.named_parameters(), *module.named_buffers()]}
    by_runtime: dict[str, Mapping[LayerShape, Curve]] = {
        name: {curve.shape: Curve.measured(curve) for curve in curves.curves} for name, curves in runtimes.items()
    }
    curves = [*by_runtime.values()] or [{one.shape: Curve.of_operations(one.shape) for one in work}]
    each = {name: Cost(work, units, lengths, [known]) for name, known in by_runtime.items()}
    return Clock(Cost(work, units, lengths, curves), each, bool(runtimes))


@dataclass(frozen=True, slots=True)
class Harm:
    """The quality of a model as it is, and with one group alone at each of several widths, by name and width."""

    whole: Quality
    alone: Mapping[str, Mapping[int, Quality]]


def scanned(units: Sequence[Units], trial: Trial, tell: Callable[[float, str], None]) -> Harm:
    """Prune each group alone to up to nine widths."""
    whole = trial({})
    alone: dict[str, dict[int, Quality]] = {}
    for number, one in enumerate(units):
        tell(number / len(units), f"scanning {one.name}")
        alone[one.name] = {width: trial({one.name: _ratio(one, width)}) for width in _tried(one)}
    return Harm(whole, alone)


def chosen(units: Sequence[Units], budget: TimeBudget, known: Clock, scan: Harm) -> dict[str, Any]:
    """The scan and the ratios chosen from it, as plain data for a record.

    UsageError where the least widths of all groups leave more time than that.
    """
    harm = {one.name: _harm(one, scan.whole.loss, scan.alone[one.name]) for one in units}
    least = knapsack.least(known.together, harm)
    if least > budget.time:
        message = f"{least:.2f} of the layers' time is left when every group has its least width, not {budget.time:g}"
        raise UsageError(message, option="budget.time", hint=f"ask for {least:.2f} or more, or lower round_to")
    stay = knapsack.choose(known.together, harm, budget.time)
    return {
        "whole": scan.whole.recorded(),
        "alone": {
            one.name: {_ratio(one, width): q.recorded() for width, q in scan.alone[one.name].items()} for one in units
        },
        "ratios": {one.name: _ratio(one, stay[one.name]) for one in units},
        "time": {
            "asked": budget.time,
            "left": known.together.share(stay),
            "counted": known.counted,
            "runtimes": {name: cost.share(stay) for name, cost in known.each.items()},
        },
    }


def remarks(scan: Mapping[str, Any] | None) -> list[str]:
    """A line that says what of the time is left, and by what that is known."""
    if scan is None or "time" not in scan:
        return []
    time = scan["time"]
    if not time["counted"]:
        note = "no emulated core counts for this target: multiply-accumulates stand in for time"
        return [f"{note}; {time['left']:.0%} of them are left"]
    runtimes = ", ".join(f"{name} {share:.0%}" for name, share in time["runtimes"].items())
    return [f"{time['left']:.0%} of the layers' counted time are left ({runtimes})"]


def _widths(one: Units) -> list[int]:
    """What may stay of a group."""
    return [*range(one.multiple, len(one.members), one.multiple), len(one.members)]


def _tried(one: Units) -> list[int]:
    smaller = _widths(one)[:-1]
    step = -(-len(smaller) // _MOST)
    return smaller[::step]


def _harm(one: Units, whole: float, alone: Mapping[int, Quality]) -> dict[int, float]:
    """How much the loss rises at each width."""
    measured = {_ratio(one, width): quality.loss - whole for width, quality in alone.items()}
    return knapsack.convex(knapsack.interpolated(measured, len(one.members), _widths(one)))


def _ratio(one: Units, stay: int) -> float:
    return 1 - stay / len(one.members)
