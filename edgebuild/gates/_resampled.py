"""Judges a metric that has no right and wrong examples, by what the paired bootstrap says of its change."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Literal

from edgebuild.gates import _margin
from edgebuild.gates._margin import least
from edgebuild.gates._undecided import Undecided
from edgebuild.gates.statistics.bootstrap import examples_to_decide, tail
from edgebuild.spec.evidence import Change, Changes, Evidence, Scores, Status, Undefined, Values, Verdict, known
from edgebuild.spec.metric import Scored, Tried
from edgebuild.spec.target import Gate, reaches

Show = Callable[[float], str]


class Resampled(Scored):
    """What such metrics share. Each has its `limit` and its `score`; `show` writes a change for people, in `unit`."""

    measured: ClassVar[Literal["outputs", "latency"] | None] = "outputs"
    unit: ClassVar[str]
    show: ClassVar[staticmethod[[float], str]]

    @classmethod
    def unchanged(cls, text: str) -> bool:
        """Whether the baseline itself is inside the limit: it loses nothing."""
        return True

    @classmethod
    def least(cls, gate: Gate) -> int:
        """Held-out examples below which it can never pass."""
        return least(cls.limit(gate.limit), gate)

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """By the paired bootstrap."""
        return judge(gate, known(evidence.scores), self.limit(gate.limit), self.show, self.unit, self.least(gate))

    def mend(self, gate: Gate, verdict: Verdict, evidence: Evidence, tried: Tried) -> str:
        """A smaller loss, or more held-out examples; where the metric has no value, its reason says what to do."""
        margin = self.limit(gate.limit)
        _, change = deciding(only(known(evidence.scores)), gate, margin)
        if isinstance(change, Undefined):
            return ""
        room = margin - max(change.estimate, 0.0)
        needed = examples_to_decide(room, change.error, verdict.n, alpha=1 - gate.confidence) if room > 0 else 0
        return _margin.mend(verdict, margin, max(math.ceil(needed), self.least(gate)), tried)


def only(scores: Scores) -> Changes:
    """The metrics of the one head of a model that has no other."""
    (changes,) = scores.heads.values()
    return changes


def brief(change: float) -> str:
    """A change without a unit."""
    return f"{change:.2g}"


def judge(gate: Gate, scores: Scores, margin: float, show: Show, unit: str, needed_at_all: int) -> Verdict:
    """Non-inferiority: pass when the limit of the change for the worse is inside the margin, fail when outside.

    `show` writes a change for people. Metrics without a value, and fewer examples than would do if none changed at
    all, prove nothing.
    """
    (whose, change), n, fidelity = deciding(only(scores), gate, margin), scores.n, scores.origin.fidelity
    if isinstance(change, Undefined):
        return Verdict(gate.metric, gate.limit, unit, "inconclusive", whose + change.undefined, fidelity, n)
    low, high = change.low, change.high
    values = f"{whose}{change.baseline:.4g} → {change.candidate:.4g}"
    status: Status = "inconclusive"
    if n < needed_at_all:
        reason = f"{n} examples are too few for any pass: {needed_at_all} or more are needed"
    elif low >= margin:
        status, reason = "fail", f"{values}, worse by at least {show(low)}"
    elif high >= margin:
        reason = f"{values}: {_undecided(gate, change, n, margin, show)}"
    elif not reaches(fidelity, gate.fidelity):
        reason = f"inside the margin, but only {fidelity}; the gate asks for {gate.fidelity}"
    else:
        status, reason = "pass", f"{values}, worse by less than {show(high)}"
    reason += _worst_class(only(scores), gate.metric)
    ends = (change.estimate, low, high)
    return Verdict(gate.metric, gate.limit, unit, status, reason, fidelity, n, *ends, gate.confidence)


def deciding(changes: Changes, gate: Gate, margin: float) -> tuple[str, Change | Undefined]:
    """What a gate is decided by, and whose it is: the change of the whole, or of the value nearest to the limit.

    Each value must be inside to pass, and one that is proved beyond is enough to fail.
    """
    whole, each = changes.of(gate.metric, gate.confidence), changes.of_values(gate.metric, gate.confidence)
    named = [(f"value {number} of {len(each)}, ", change) for number, change in enumerate(each)]
    known = [(whose, change) for whose, change in named if isinstance(change, Change)]
    unknown = [(whose, change) for whose, change in named if isinstance(change, Undefined)]
    beyond = [(whose, change) for whose, change in known if change.low >= margin]
    if beyond:
        return max(beyond, key=lambda one: one[1].low)
    if isinstance(whole, Undefined) or not each:
        return "", whole
    return unknown[0] if unknown else max(known, key=lambda one: one[1].high)


def _worst_class(changes: Changes, metric: str) -> str:
    """The class that lost most, where one lost anything; which class that is owes something to chance."""
    lost = [
        (values.baseline - values.candidate, name, part.n, values)
        for name, part in changes.classes.items()
        if isinstance(values := part.metrics.get(metric), Values)
    ]
    drop, name, n, values = max(lost, key=lambda one: one[0], default=(0.0, "", 0, Values(0, 0)))
    if not drop > 0:
        return ""
    return f"; most in class {name!r}: {values.baseline:.3g} → {values.candidate:.3g} on {n} examples"


def _undecided(gate: Gate, change: Change, n: int, margin: float, show: Show) -> str:
    """Which way the change points, by the normal distribution with the bootstrap's standard error."""
    estimate, allowed = change.estimate, 1 - gate.confidence
    p = tail(abs(estimate - margin), change.error)
    needed = examples_to_decide(abs(estimate - margin), change.error, n, alpha=allowed)
    return Undecided(f"the change for the worse of {show(estimate)}", estimate < margin, p, allowed, needed, n).reason
