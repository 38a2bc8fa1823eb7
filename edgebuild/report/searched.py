"""What a search came to: the points worth having, every recipe that was tried, and why others were rejected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.report.summary import line
from edgebuild.report.table import table
from edgebuild.search import pareto
from edgebuild.spec import documents
from edgebuild.spec.units import show_bytes, show_count, show_seconds

if TYPE_CHECKING:
    from edgebuild.search.record import Result
    from edgebuild.search.trial import Loss, Point, Trial

POINT_COLUMNS = ("", "format", "time", "bytes", "loss", "ties", "recipe")
_RUNGS = {
    "planned": "planned",
    "bounded": "by bounds",
    "counted": "counted",
    "short": "short training",
    "whole": "whole",
}


def document(result: Result, plot: Path) -> dict[str, Any]:
    """The search as plain data."""
    front = [
        {"number": trial.number, "recipe": result.told(trial.number), "ties": list(pareto.ties(trial, result.trials))}
        for trial in result.front
    ]
    return {
        **documents.to_json(result),
        "front": front,
        "missed": _missed(result),
        "from_store": result.steps.shared,
        "plot": str(plot),
    }


def show(result: Result, plot: Path) -> None:
    """Print the points worth having, all recipes, and what to do next."""
    rows = [_row(trial, result) for trial in sorted(result.trials, key=_order)]
    table(
        ("", "tried", "recipe", "time", "bytes", "loss", "what became of it"),
        rows,
        title=f"all recipes of {_of(result)}",
    )
    if result.front:
        points = [point_cells(trial, result) for trial in result.front]
        table(POINT_COLUMNS, points, title=f"worth having, {_of(result)}")
    for notice in result.notices:
        line(("note: ", "yellow"), notice)
    line((summary(result), "dim"))
    line((f"plot: {plot}", "dim"))
    _show_next(result)


def _show_next(result: Result) -> None:
    if result.front:
        command = f"edgebuild search --target {result.target} --model {result.model}"
        proved = ", ".join(name(trial) for trial in pareto.from_the_safest(result.trials))
        line(
            ("next: ", "bold"), f"{command} --prove builds {proved} and judges each on the test examples, to the first"
        )
        line(f"      that does not pass; --apply {result.front[0].number} builds {name(result.front[0])} alone")
    elif (missed := _missed(result)) is not None:
        line(("fail: ", "red"), missed)


def _missed(result: Result) -> str | None:
    """Which gate no recipe passes, and by how much the best missed."""
    if result.front or (trial := result.missed) is None:
        return None
    worst = trial.misses[0]
    refusal = f"no recipe passes {worst.gate} {worst.limit!r}"
    return f"{refusal}; the nearest is {name(trial)} ({result.told(trial.number)}): {worst.reason}"


def _of(result: Result) -> str:
    return f"{result.model} for {result.target}"


def summary(result: Result) -> str:
    """How much was tried, why it ended, and what it took."""
    size = f" of {show_count(result.size)}" if result.size is not None else ""
    steps = f"{result.steps.shared:.0%} of {show_count(result.steps.asked)} steps came from the store"
    took = f"{len(result.trials)} recipes{size} in {span(result.seconds)}"
    return f"{took}: {result.ended}; {steps}; nothing has looked at the test examples"


def span(seconds: float) -> str:
    """How long a search takes: minutes, where these are a few."""
    return f"{seconds / 60:.0f} min" if seconds > 120 else show_seconds(seconds)


def name(trial: Trial) -> str:
    """How a trial is called."""
    return f"#{trial.number}"


def in_short(trial: Trial) -> str:
    """A trial's figures in a few words."""
    assert trial.point is not None
    return (
        f"{name(trial)} {show_seconds(trial.point.seconds)}, {show_bytes(trial.point.bytes)}, {_loss(trial.point.loss)}"
    )


def _order(trial: Trial) -> tuple[bool, float, int]:
    """Those that pass first, then those that missed by least."""
    return not trial.passes, trial.excess if trial.status == "rejected" else 0.0, trial.number


def _row(trial: Trial, result: Result) -> tuple[str, ...]:
    point = trial.point
    figures = (show_seconds(point.seconds), show_count(point.bytes), _loss(point.loss)) if point else ("", "", "")
    word = {"passes": "passes", "behind": "behind", "rejected": "rejected"}[trial.status]
    reason = word if trial.passes else f"{word}: {trial.reason}"
    return name(trial), _RUNGS[trial.rung], result.told(trial.number), *figures, reason


def point_cells(trial: Trial, result: Result) -> tuple[str, ...]:
    """A point worth having by `POINT_COLUMNS`."""
    point = trial.point
    assert point is not None
    ties = ", ".join(f"#{number}" for number in pareto.ties(trial, result.trials))
    figures = (_time(point), show_count(point.bytes), _interval(point.loss))
    return name(trial), point.format, *figures, ties or "–", result.told(trial.number)


def _time(point: Point) -> str:
    ends = f"[{show_seconds(point.seconds_low)}, {show_seconds(point.seconds_high)}]"
    return f"{show_seconds(point.seconds)} {ends}"


def _loss(loss: Loss | None) -> str:
    return "" if loss is None else _amount(loss, loss.estimate)


def _interval(loss: Loss | None) -> str:
    if loss is None:
        return "not judged"
    return f"{_amount(loss, loss.estimate)} [{_amount(loss, loss.low)}, {_amount(loss, loss.high)}] of {loss.n}"


def _amount(loss: Loss, value: float) -> str:
    return f"{100 * value + 0.0:+.2f} pp" if loss.unit == "share" else f"{value + 0.0:+.3g}"
