"""Which points are worth having: no other is better in one way and worse in none; and which nobody can tell apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgebuild.gates.statistics import paired
from edgebuild.search.trial import Loss, Point, Trial

_ALIKE = 0.01  # of bytes: the same weights code a little better or worse by chance
_CONFIDENCE = 0.95
_MOST = 1.5  # times what the float model takes: beyond, nothing is worth having


def objectives(point: Point) -> tuple[float, float, float]:
    """What is to be least: time and bytes as shares of the float model's, and the loss as a share of its limit."""
    return point.time_share, point.bytes_share, point.loss.share if point.loss else 0.0


def in_box(point: Point) -> tuple[float, float, float]:
    """The objectives where 0 is the best that could be and 1 the worst that counts: somewhat more than the float model
    takes, with all loss that is allowed.
    """
    time, size, loss = objectives(point)
    return time / _MOST, size / _MOST, (min(max(loss, -1.0), 1.0) + 1) / 2


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one is better in some way and worse in none."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))


def front(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Those that pass and that none which passes dominates, the cheapest first: by time and bytes, half and half."""
    points = [(trial, objectives(trial.point)) for trial in trials if trial.passes and trial.point is not None]
    best = [trial for trial, own in points if not any(dominates(other, own) for _, other in points)]
    unlike = {objectives(trial.point): trial for trial in reversed(best) if trial.point is not None}
    return tuple(sorted(unlike.values(), key=cost))


def from_the_safest(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Of the points worth having the one that lost least, and then each that costs less than all before it: the dearer
    of those that lost as much first.
    """
    chosen: list[Trial] = []
    for trial in sorted(front(trials), key=lambda each: (_lost(each), -cost(each))):
        if not chosen or cost(trial) < cost(chosen[-1]):
            chosen.append(trial)
    return tuple(chosen)


def _lost(trial: Trial) -> float:
    return trial.point.loss.share if trial.point and trial.point.loss else 0.0


def cost(trial: Trial) -> float:
    """The logarithm of the mean of the shares of time and of bytes: what a point costs on the target."""
    assert trial.point is not None
    return math.log(trial.point.time_share) + math.log(trial.point.bytes_share)


def ties(of: Trial, trials: Sequence[Trial]) -> tuple[int, ...]:
    """The numbers of the others that pass and are not proved different from it in anything."""
    return tuple(
        other.number
        for other in trials
        if other.number != of.number and other.passes and other.point and of.point and alike(of.point, other.point)
    )


def alike(one: Point, other: Point) -> bool:
    """Whether neither bytes, nor time, nor answers are proved to differ."""
    bytes_alike = abs(one.bytes / other.bytes - 1) < _ALIKE
    time_alike = abs(one.seconds / other.seconds - 1) <= max(one.apart, other.apart)
    return bytes_alike and time_alike and losses_alike(one.loss, other.loss)


def losses_alike(one: Loss | None, other: Loss | None) -> bool:
    """Whether the two are not proved to lose differently: example by example where answers are right or wrong."""
    if one is None or other is None:
        return one is other
    if one.wrong is None or other.wrong is None or one.n != other.n:
        return one.low <= other.high and other.low <= one.high
    bound = against(one, other)
    return bound.low <= 0 <= bound.high


def against(one: Loss, other: Loss) -> paired.Bound:
    """The share of right answers that one has less than the other, with its two-sided 95 % interval (Tango 1998)."""
    wrong, others = set(one.wrong or ()), set(other.wrong or ())
    return paired.drop_interval(len(wrong - others), len(others - wrong), one.n, _CONFIDENCE)


def hypervolume(points: Sequence[Sequence[float]]) -> float:
    """The share of the unit box that is worse than one of the points in every way (Zitzler & Thiele 1998).

    Sliced along the last objective; points outside of the box add nothing.
    """
    inside = [tuple(max(each, 0.0) for each in point) for point in points if all(each < 1 for each in point)]
    inside = [point for point in {*inside} if not any(dominates(other, point) for other in inside)]
    if not inside:
        return 0.0
    if len(inside[0]) == 1:
        return 1 - min(point[0] for point in inside)
    volume, levels = 0.0, sorted({point[-1] for point in inside})
    for level, after in zip(levels, [*levels[1:], 1.0], strict=True):
        volume += (after - level) * hypervolume([point[:-1] for point in inside if point[-1] <= level])
    return volume
