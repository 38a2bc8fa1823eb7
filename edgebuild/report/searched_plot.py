"""Draws a search as one HTML page without scripts: every recipe by time, bytes and loss, the gates as lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.report import searched
from edgebuild.search.record import PLOT
from edgebuild.spec.registry import GATES
from edgebuild.spec.units import show_bytes, show_seconds

if TYPE_CHECKING:
    from edgebuild.search.record import Result
    from edgebuild.search.trial import Point, Trial

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 640, 420, 90, 24, 16, 48
_COLOURS = {"passes": "#2a7d2e", "rejected": "#b3261e", "behind": "#8a8a8a"}
_TICKS = 4
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:14px sans-serif;margin:2em;max-width:60em}}svg{{display:block;margin:1em 0}}
text{{font:11px sans-serif}}td,th{{text-align:left;padding:.15em 1em .15em 0;vertical-align:top}}</style></head><body>
<h1>{title}</h1><p>{about}</p>{plots}<h2>Worth having</h2>{table}</body></html>
"""


@dataclass(frozen=True, slots=True)
class Axis:
    """What is along an axis: its name, the value of a point, how it is written, limits to draw, and the scale."""

    name: str
    of: Callable[[Point], float | None]
    show: Callable[[float], str]
    limits: Sequence[tuple[float, str]] = ()
    log: bool = True

    def place(self, value: float) -> float:
        """Where a value is on the scale."""
        return math.log10(max(value, 1e-12)) if self.log else value

    def value(self, place: float) -> float:
        """The value at a place on the scale."""
        return 10**place if self.log else place


def write(folder: Path, result: Result) -> Path:
    """Draw the search into its folder; where it is."""
    path = folder / PLOT
    path.write_text(render(result), encoding="utf-8")
    return path


def render(result: Result) -> str:
    """The page."""
    time, size = _time(result), _bytes(result)
    plots = "".join(_plot(result, x, y) for x, y in ((time, size), (time, _loss(result))))
    rows = "".join(f"<tr>{_cells(searched.point_cells(trial, result))}</tr>" for trial in result.front)
    head = "".join(f"<th>{escape(name)}</th>" for name in searched.POINT_COLUMNS)
    return _PAGE.format(
        title=escape(f"Search: {result.model} for {result.target}"),
        about=escape(searched.summary(result)),
        plots=plots,
        table=f"<table><tr>{head}</tr>{rows}</table>",
    )


def _cells(texts: Sequence[str]) -> str:
    return "".join(f"<td>{escape(text)}</td>" for text in texts)


def _time(result: Result) -> Axis:
    base = max(each.seconds for each in result.baselines.values())
    return Axis("time on the target", lambda point: point.seconds, show_seconds, _limits(result, "s", base))


def _bytes(result: Result) -> Axis:
    base = max(each.bytes for each in result.baselines.values())
    return Axis("bytes", lambda point: float(point.size), show_bytes, _limits(result, "B", base))


def _loss(result: Result) -> Axis:
    def share(point: Point) -> float | None:
        return None if point.loss is None else min(max(point.loss.share, -2.0), 4.0)

    return Axis("loss, as a share of its limit", share, "{:.1f}".format, ((1.0, "all that may be lost"),), log=False)


def _limits(result: Result, unit: str, base: float) -> list[tuple[float, str]]:
    """The gates on a quantity, as far as they limit it by a number of its own unit or against the float model."""
    return [
        (most, f"{gate.metric} {gate.limit}")
        for gate in result.gates
        if (most := GATES.get(gate.metric).drawn(gate.limit, unit, base)) is not None
    ]


def _plot(result: Result, x: Axis, y: Axis) -> str:
    """A scatter of all recipes of which both are known."""
    points = [
        (trial, a, b)
        for trial in result.trials
        if trial.point and (a := x.of(trial.point)) is not None and (b := y.of(trial.point)) is not None
    ]
    if not points:
        return ""
    across = _Scale.of(x, [a for _, a, _ in points], _LEFT, _WIDTH - _RIGHT)
    up = _Scale.of(y, [b for _, _, b in points], _HEIGHT - _BOTTOM, _TOP)
    front = {trial.number for trial in result.front}
    marks = [_mark(trial, across.at(a), up.at(b), best=trial.number in front) for trial, a, b in points]
    body = "".join([*_frame(across, up), *_gates(across, up), *marks])
    name = escape(f"{y.name} against {x.name}")
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{name}">{body}</svg>'


@dataclass(frozen=True, slots=True)
class _Scale:
    """An axis between two places of the picture, from the least to the greatest value that is shown."""

    axis: Axis
    low: float
    high: float
    start: float
    end: float

    @classmethod
    def of(cls, axis: Axis, values: Sequence[float], start: float, end: float) -> _Scale:
        places = [axis.place(value) for value in (*values, *(limit for limit, _ in axis.limits))]
        room = 0.05 * (max(places) - min(places)) or 0.1
        return cls(axis, min(places) - room, max(places) + room, start, end)

    def at(self, value: float) -> float:
        share = (self.axis.place(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> Iterator[tuple[float, str]]:
        for number in range(_TICKS + 1):
            value = self.axis.value(self.low + (self.high - self.low) * number / _TICKS)
            yield self.at(value), self.axis.show(value)


def _frame(across: _Scale, up: _Scale) -> Iterator[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    yield f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="#333"/>'
    for place, text in across.ticks():
        yield f'<text x="{place:.1f}" y="{bottom + 16}" text-anchor="middle">{escape(text)}</text>'
    for place, text in up.ticks():
        yield f'<text x="{_LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{escape(text)}</text>'
    yield f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(across.axis.name)}</text>'
    yield f'<text x="{_LEFT}" y="{_TOP - 8}">{escape(up.axis.name)}</text>'


def _gates(across: _Scale, up: _Scale) -> Iterator[str]:
    bottom, right, dashed = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT, 'stroke="#1a4fa3" stroke-dasharray="5 4"'
    for limit, name in across.axis.limits:
        x = across.at(limit)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}" {dashed}/>'
        yield f'<text x="{x - 4:.1f}" y="{_TOP + 10}" text-anchor="end" fill="#1a4fa3">{escape(name)}</text>'
    for limit, name in up.axis.limits:
        y = up.at(limit)
        yield f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" {dashed}/>'
        yield f'<text x="{_LEFT + 6}" y="{y - 4:.1f}" fill="#1a4fa3">{escape(name)}</text>'


def _mark(trial: Trial, x: float, y: float, *, best: bool) -> str:
    """A recipe: a filled circle where it is worth having."""
    colour, title = _COLOURS[trial.status], escape(f"#{trial.number}: {trial.reason}")
    fill = colour if best else "none"
    circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{colour}"><title>{title}</title></circle>'
    return circle + (f'<text x="{x + 7:.1f}" y="{y - 5:.1f}">#{trial.number}</text>' if best else "")
