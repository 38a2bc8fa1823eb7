"""Judges a metric that has no right and wrong examples, by what the paired bootstrap says of its change."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from edgebuild.gates import _margin
from edgebuild.gates._margin import least
from edgebuild.gates._remedies import Tried
from edgebuild.gates._undecided import Undecided
from edgebuild.gates.statistics.bootstrap import examples_to_decide, tail
from edgebuild.spec.evidence import Status, Verdict
from edgebuild.spec.model import Task
from edgebuild.spec.target import Gate, reaches

Show = Callable[[float], str]


class Resampled:
    """What such metrics share. Each has its `limit` and its `score`; `show` writes a change for people, in `unit`.

    `discrete` metrics move only with answers that change.
    """

    tasks: ClassVar[tuple[Task, ...]]
    measured: ClassVar[str] = "outputs"
    discrete: ClassVar[bool] = False
    unit: ClassVar[str]
    show: ClassVar[staticmethod[[float], str]]
    limit: ClassVar[staticmethod[[str], float]]

    @staticmethod
    def unchanged(text: str) -> bool:
        """Whether the baseline itself is inside the limit: it loses nothing."""
        return True

    @staticmethod
    def change(candidate: float, baseline: float) -> float:
        """How much worse."""
        return baseline - candidate

    @classmethod
    def least(cls, gate: Gate) -> int:
        """Held-out examples below which it can never pass."""
        return least(cls.limit(gate.limit), gate)

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """By the paired bootstrap."""
        return judge(gate, evidence, self.limit(gate.limit), self.show, self.unit)

    def mend(self, gate: Gate, verdict: Verdict, evidence: dict[str, Any], tried: Tried) -> str:
        """A smaller loss, or more held-out examples; where the metric has no value, its reason says what to do."""
        found, margin = evidence["scores"]["metrics"][gate.metric][str(gate.confidence)], self.limit(gate.limit)
        if "undefined" in found:
            return ""
        room = margin - max(found["estimate"], 0.0)
        needed = examples_to_decide(room, found["error"], verdict.n, alpha=1 - gate.confidence) if room > 0 else 0
        return _margin.mend(verdict, margin, max(math.ceil(needed), least(margin, gate)), tried)


def brief(change: float) -> str:
    """A change without a unit."""
    return f"{change:.2g}"


def judge(gate: Gate, evidence: dict[str, Any], margin: float, show: Show, unit: str) -> Verdict:
    """Non-inferiority: pass when the limit of the change for the worse is inside the margin, fail when outside.

    `show` writes a change for people. Metrics without a value, and fewer examples than would do if none changed at
    all, prove nothing.
    """
    scores = evidence["scores"]
    found, n, fidelity = scores["metrics"][gate.metric][str(gate.confidence)], scores["n"], scores["origin"]["fidelity"]
    if "undefined" in found:
        return Verdict(gate.metric, gate.limit, unit, "inconclusive", found["undefined"], fidelity, n)
    needed_at_all = least(margin, gate)
    low, high = found["low"], found["high"]
    told = f"{found['baseline']:.4g} → {found['candidate']:.4g}"
    status: Status = "inconclusive"
    if n < needed_at_all:
        reason = f"{n} examples are too few for any pass: {needed_at_all} or more are needed"
    elif low >= margin:
        status, reason = "fail", f"{told}, worse by at least {show(low)}"
    elif high >= margin:
        reason = f"{told}: {_undecided(gate, found, n, margin, show)}"
    elif not reaches(fidelity, gate.fidelity):
        reason = f"inside the margin, but only {fidelity}; the gate asks for {gate.fidelity}"
    else:
        status, reason = "pass", f"{told}, worse by less than {show(high)}"
    return Verdict(
        gate.metric, gate.limit, unit, status, reason, fidelity, n, found["estimate"], low, high, gate.confidence
    )


def _undecided(gate: Gate, found: dict[str, Any], n: int, margin: float, show: Show) -> str:
    """Which way the change points, by the normal distribution with the bootstrap's standard error."""
    change, error, allowed = found["estimate"], found["error"], 1 - gate.confidence
    p = tail(abs(change - margin), error)
    needed = examples_to_decide(abs(change - margin), error, n, alpha=allowed)
    return Undecided(f"the change for the worse of {show(change)}", change < margin, p, allowed, needed, n).reason
