"""Accuracy: the candidate may be worse than its float baseline by at most the margin, shown pair by pair."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates import _margin
from edgebuild.gates._agreement import allowance, points, told, why_open
from edgebuild.gates._margin import points_of_a_share
from edgebuild.gates._remedies import Tried
from edgebuild.gates.statistics import paired
from edgebuild.spec.evidence import Status, Verdict
from edgebuild.spec.model import Task
from edgebuild.spec.target import Gate, reaches


class Accuracy:
    """Paired non-inferiority by the score interval of Tango 1998; the limit is a margin such as "1 pp"."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    measured: ClassVar[str] = "outputs"
    regression: ClassVar[str] = "1 pp"

    @staticmethod
    def limit(text: str) -> float:
        """The margin as a share, above 0 and below 1; ValueError otherwise."""
        return points_of_a_share(text)

    @staticmethod
    def unchanged(text: str) -> bool:
        """Whether the baseline itself is inside the limit: it loses nothing."""
        return True

    @classmethod
    def least(cls, gate: Gate) -> int:
        """Held-out examples below which it can never pass."""
        return _margin.least(cls.limit(gate.limit), gate)

    @staticmethod
    def asks(text: str) -> str:
        """The evidence that decides: right answers of both."""
        return "accuracy"

    def settled(self, gate: Gate, evidence: dict[str, Any]) -> bool:
        """Whether more answers of the device could change nothing for this gate."""
        return self.judge(gate, evidence).status != "inconclusive"

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """Pass when the bound on the drop is inside the margin, fail when it is proved to be outside."""
        found, margin = evidence["accuracy"], self.limit(gate.limit)
        allowed = allowance(found, gate.confidence)
        pairs = paired.Pairs(found["lost"], found["won"], found["n"])
        bound = allowed.drop(pairs)
        fidelity = found["origin"]["fidelity"]
        status: Status = "inconclusive"
        if bound.low >= margin:
            status, reason = "fail", f"the drop is at least {points(bound.low)}"
        elif bound.high >= margin:
            reason = f"{why_open(pairs, margin, gate, allowed)}{told(found, allowed)}"
        elif not reaches(fidelity, gate.fidelity):
            reason = f"inside the margin, but only {fidelity}; the gate asks for {gate.fidelity}"
        else:
            status, reason = "pass", f"the drop is below {points(bound.high)}{told(found, allowed)}"
        return Verdict(
            "accuracy",
            gate.limit,
            "share",
            status,
            reason + _worst(found),
            fidelity,
            found["n"],
            *bound,
            gate.confidence,
        )

    def mend(self, gate: Gate, verdict: Verdict, evidence: dict[str, Any], tried: Tried) -> str:
        """A smaller loss, more held-out examples, or where the device took only some of them, more of those."""
        found, margin = evidence["accuracy"], self.limit(gate.limit)
        allowed = allowance(found, gate.confidence)
        pairs = paired.Pairs(found["lost"], found["won"], found["n"])
        alone = paired.drop_bound(pairs.lost, pairs.won, pairs.n, allowed.confidence)
        if verdict.high is not None and alone.high < margin <= verdict.high:
            ran, cut = found["agreement"]["n"], found["agreement"].get("looks", {}).get("cut")
            more = "a longer `budget`" if cut else "more `examples`"
            return f"{more} in [[devices]] of the target: {ran} of {verdict.n} ran on the device"
        room = margin - max(verdict.estimate or 0.0, 0.0)
        needed = paired.examples_needed(pairs.discordant_rate, room, alpha=1 - gate.confidence) if room > 0 else 0
        return _margin.mend(verdict, margin, needed, tried)


def _worst(found: dict[str, Any]) -> str:
    """The class that lost most, where one lost anything; which class that is owes something to chance."""
    classes = found.get("classes", {})
    worst = max(classes, key=lambda name: classes[name]["drop"], default=None)
    if worst is None or classes[worst]["drop"] <= 0:
        return ""
    return f"; most in class {worst!r}: {points(classes[worst]['drop'])} of {classes[worst]['n']} examples"
