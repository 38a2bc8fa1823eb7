"""Judges the drop in accuracy of every class or slice on its own: one that got worse hides in a good average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from edgebuild.gates import _margin
from edgebuild.gates._agreement import Allowance, allowance, points, told, why_open
from edgebuild.gates._margin import points_of_a_share
from edgebuild.gates._remedies import Tried
from edgebuild.gates.statistics.paired import Bound, Pairs
from edgebuild.spec.evidence import Status, Verdict
from edgebuild.spec.model import Task
from edgebuild.spec.target import Gate, reaches


@dataclass(frozen=True, slots=True)
class _Group:
    """A class or slice with the bounds on its drop: `low` holds for all groups at once, `high` for each alone."""

    name: str
    pairs: Pairs
    bound: Bound


class Grouped:
    """Shared by gates on groups of examples: `noun` is what one is called, `several` where the evidence has them."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    measured: ClassVar[str] = "outputs"
    noun: ClassVar[str]
    several: ClassVar[str]

    @staticmethod
    def limit(text: str) -> float:
        """The margin as a share, above 0 and below 1; ValueError otherwise."""
        return points_of_a_share(text)

    @staticmethod
    def unchanged(text: str) -> bool:
        """Whether the baseline itself is inside the limit: it loses nothing."""
        return True

    @staticmethod
    def asks(text: str) -> str:
        """The evidence that decides: right answers of both."""
        return "accuracy"

    def settled(self, gate: Gate, evidence: dict[str, Any]) -> bool:
        """Whether more answers of the device could change nothing for this gate."""
        found = evidence["accuracy"]
        return not found[self.several] or judge(gate, found, self.noun, found[self.several]).status != "inconclusive"

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """By the worst group."""
        found = evidence["accuracy"]
        return judge(gate, found, self.noun, found[self.several])

    def mend(self, gate: Gate, verdict: Verdict, evidence: dict[str, Any], tried: Tried) -> str:
        """A smaller loss, or more examples of the group that the reason names; where there is none, it says enough."""
        margin = self.limit(gate.limit)
        return _margin.mend(verdict, margin, _margin.least(margin, gate), tried) if verdict.n else ""


def judge(gate: Gate, found: dict[str, Any], noun: str, groups: dict[str, Any]) -> Verdict:
    """Pass when every group's drop is inside the margin, fail when one is proved to be outside.

    To pass, each must: that needs no correction (intersection-union test, Berger 1982). To fail, one is enough, and
    among k some would by chance: each is tested at alpha / k (Bonferroni, which for the first of k is Holm's).
    """
    margin, allowed = points_of_a_share(gate.limit), allowance(found, gate.confidence)
    judged = [_bounded(name, counts, allowed, len(groups)) for name, counts in groups.items()]
    worst = max(judged, key=lambda group: (group.bound.low, group.bound.high))
    widest = max(judged, key=lambda group: group.bound.high)
    fidelity = found["origin"]["fidelity"]
    status: Status = "inconclusive"
    if worst.bound.low >= margin:
        status, shown, reason = "fail", worst, f"{noun} {worst.name!r} lost at least {points(worst.bound.low)}"
    elif widest.bound.high >= margin:
        shown, said = widest, why_open(widest.pairs, margin, gate, allowed, (1 - gate.confidence) / len(judged))
        reason = f"{noun} {widest.name!r}: {said}{told(found, allowed)}"
    elif not reaches(fidelity, gate.fidelity):
        shown, reason = widest, f"inside the margin, but only {fidelity}; the gate asks for {gate.fidelity}"
    else:
        drop = points(widest.bound.high)
        status, shown, reason = "pass", widest, f"no {noun} of {len(judged)} lost {drop}{told(found, allowed)}"
    return Verdict(
        gate.metric, gate.limit, "share", status, reason, fidelity, shown.pairs.n, *shown.bound, gate.confidence
    )


def _bounded(name: str, counts: dict[str, int], allowed: Allowance, groups: int) -> _Group:
    """All answers in which host and device may differ might lie in this group, as far as it did not run there."""
    pairs, unrun = Pairs(counts["lost"], counts["won"], counts["n"]), counts.get("unrun", counts["n"])
    each = 1 - (1 - allowed.confidence) / groups
    drop = allowed.drop(pairs, unrun=unrun)
    return _Group(name, pairs, drop._replace(low=allowed.drop(pairs, each, unrun).low))
