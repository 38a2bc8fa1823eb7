"""Judges a metric that has no right and wrong examples, by what the paired bootstrap says of its change."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Literal

from edgebuild.gates import _margin
from edgebuild.gates._margin import least
from edgebuild.gates._undecided import Undecided
from edgebuild.gates.statistics.bootstrap import examples_to_decide, tail
from edgebuild.spec.evidence import Change, Changes, Evidence, Scores, Status, Undefined, Verdict, known
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
        return judge(gate, known(evidence.scores), self.limit(gate.limit), self.show, self.unit)

    def mend(self, gate: Gate, verdict: Verdict, evidence: Evidence, tried: Tried) -> str:
        """A smaller loss, or more held-out examples; where the metric has no value, its reason says what to do."""
        change = only(known(evidence.scores)).of(gate.metric, gate.confidence)
        if isinstance(change, Undefined):
            return ""
        margin = self.limit(gate.limit)
        room = margin - max(change.estimate, 0.0)
        needed = examples_to_decide(room, change.error, verdict.n, alpha=1 - gate.confidence) if room > 0 else 0
        return _margin.mend(verdict, margin, max(math.ceil(needed), least(margin, gate)), tried)


def only(scores: Scores) -> Changes:
    """The metrics of the one head of a model that has no other."""
    (changes,) = scores.heads.values()
    return changes


def brief(change: float) -> str:
    """A change without a unit."""
    return f"{change:.2g}"


def judge(gate: Gate, scores: Scores, margin: float, show: Show, unit: str) -> Verdict:
    """Non-inferiority: pass when the limit of the change for the worse is inside the margin, fail when outside.

    `show` writes a change for people. Metrics without a value, and fewer examples than would do if none changed at
    all, prove nothing.
    """
    change, n, fidelity = only(scores).of(gate.metric, gate.confidence), scores.n, scores.origin.fidelity
    if isinstance(change, Undefined):
        return Verdict(gate.metric, gate.limit, unit, "inconclusive", change.undefined, fidelity, n)
    needed_at_all = least(margin, gate)
    low, high = change.low, change.high
    values = f"{change.baseline:.4g} → {change.candidate:.4g}"
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
    ends = (change.estimate, low, high)
    return Verdict(gate.metric, gate.limit, unit, status, reason, fidelity, n, *ends, gate.confidence)


def _undecided(gate: Gate, change: Change, n: int, margin: float, show: Show) -> str:
    """Which way the change points, by the normal distribution with the bootstrap's standard error."""
    estimate, allowed = change.estimate, 1 - gate.confidence
    p = tail(abs(estimate - margin), change.error)
    needed = examples_to_decide(abs(estimate - margin), change.error, n, alpha=allowed)
    return Undecided(f"the change for the worse of {show(estimate)}", estimate < margin, p, allowed, needed, n).reason
