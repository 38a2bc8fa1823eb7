"""Accuracy: the candidate may be worse than its float baseline by at most the margin, shown pair by pair."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.measure import paired
from edgebuild.spec.evidence import Status, Verdict
from edgebuild.spec.model import Task
from edgebuild.spec.target import Gate, reaches
from edgebuild.spec.units import SHARE, parse


class Accuracy:
    """Paired non-inferiority by the score interval of Tango 1998; the limit is a margin such as "1 pp"."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    @staticmethod
    def limit(text: str) -> float:
        """The margin as a share, above 0 and below 1; ValueError otherwise."""
        margin = parse(text, SHARE)
        if not 0 < margin < 1:
            raise ValueError(f"a margin of accuracy must be above 0 and below 100 pp, not {text!r}")
        return margin

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """Pass when the bound on the drop is inside the margin, fail when it is proved to be outside."""
        found, margin = evidence["accuracy"], self.limit(gate.limit)
        bound = paired.drop_bound(found["lost"], found["won"], found["n"], gate.confidence)
        penalty = found.get("agreement", {}).get("penalty", 0.0)
        bound = bound._replace(low=bound.low - penalty, high=bound.high + penalty)
        fidelity = found["origin"]["fidelity"]
        status: Status = "inconclusive"
        if bound.low >= margin:
            status, reason = "fail", f"the drop is at least {_pp(bound.low)}"
        elif bound.high >= margin:
            reason = self._too_few(found, margin, gate) + _agreed(found)
        elif not reaches(fidelity, gate.fidelity):
            reason = f"inside the margin, but only {fidelity}; the gate asks for {gate.fidelity}"
        else:
            status, reason = "pass", f"the drop is below {_pp(bound.high)}{_agreed(found)}"
        return Verdict("accuracy", gate.limit, "share", status, reason, fidelity, found["n"], *bound)

    def _too_few(self, found: dict[str, Any], margin: float, gate: Gate) -> str:
        rate = (found["lost"] + found["won"]) / found["n"]
        needed = paired.examples_needed(rate, margin, alpha=1 - gate.confidence)
        if needed > found["n"]:
            return f"{found['n']} examples are too few to tell: with {rate:.1%} discordant, {needed} are needed"
        return "the drop is too near the margin to tell"


def _agreed(found: dict[str, Any]) -> str:
    """How the device's own answers compare with the host's, where only some examples ran on the device."""
    agreement = found.get("agreement")
    if agreement is None:
        return ""
    told = f"; host and device differ in {agreement['answers_differing']} of {agreement['n']} answers"
    if agreement["identical"]:
        told = f"; host and device are bit-identical on {agreement['n']} examples"
        return f"{told}, so answers differ in at most {_pp(agreement['penalty'])}"
    return f"{told}, so in at most {_pp(agreement['penalty'])}"


def _pp(share: float) -> str:
    return f"{100 * share:.2f} pp"
