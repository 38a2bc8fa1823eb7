"""Judges the drop in accuracy of every class or slice on its own: one that got worse hides in a good average."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from edgebuild.gates import _margin
from edgebuild.gates._agreement import Allowance, Compared, allowance, on_device, only, points, why_open
from edgebuild.gates._right import RightAnswers
from edgebuild.gates.statistics.paired import Bound, Pairs
from edgebuild.spec.evidence import Answers, Evidence, Group, Status, Verdict, known
from edgebuild.spec.metric import Tried
from edgebuild.spec.target import Fidelity, Gate, reaches


@dataclass(frozen=True, slots=True)
class _Group:
    """A class or slice with the bounds on its drop: `low` holds for all groups at once, `high` for each alone."""

    name: str
    pairs: Pairs
    bound: Bound


class Grouped(RightAnswers):
    """Shared by gates on groups of examples: `noun` is what one is called."""

    noun: ClassVar[str]

    @staticmethod
    @abstractmethod
    def groups(answers: Answers) -> Mapping[str, Group]:
        """Where the evidence has them."""

    def settled(self, gate: Gate, evidence: Evidence) -> bool:
        """Whether more answers of the device could change nothing for this gate."""
        return not self.groups(only(known(evidence.accuracy)).answers) or super().settled(gate, evidence)

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """By the worst group."""
        accuracy = known(evidence.accuracy)
        head = only(accuracy)
        return judge(gate, head, accuracy.origin.fidelity, self.noun, self.groups(head.answers))

    def mend(self, gate: Gate, verdict: Verdict, evidence: Evidence, tried: Tried) -> str:
        """A smaller loss, or more examples of the group that the reason names; where there is none, it says enough."""
        margin = self.limit(gate.limit)
        return _margin.mend(verdict, margin, _margin.least(margin, gate), tried) if verdict.n else ""


def judge(gate: Gate, head: Compared, fidelity: Fidelity, noun: str, groups: Mapping[str, Group]) -> Verdict:
    """Pass when every group's drop is inside the margin, fail when one is proved to be outside.

    To pass, each must: that needs no correction (intersection-union test, Berger 1982). To fail, one is enough, and
    among k some would by chance: each is tested at alpha / k (Bonferroni, which for the first of k is Holm's).
    """
    margin, allowed = _margin.points_of_a_share(gate.limit), allowance(head, gate.confidence)
    judged = [_bounded(name, group, allowed, len(groups)) for name, group in groups.items()]
    worst = max(judged, key=lambda group: (group.bound.low, group.bound.high))
    widest = max(judged, key=lambda group: group.bound.high)
    status: Status = "inconclusive"
    if worst.bound.low >= margin:
        status, shown, reason = "fail", worst, f"{noun} {worst.name!r} lost at least {points(worst.bound.low)}"
    elif widest.bound.high >= margin:
        own = allowed._replace(together=groups[widest.name].together)
        shown, why = widest, why_open(widest.pairs, margin, gate, own, (1 - gate.confidence) / len(judged))
        reason = f"{noun} {widest.name!r}: {why}{on_device(head, allowed)}"
    elif not reaches(fidelity, gate.fidelity):
        shown, reason = widest, f"inside the margin, but only {fidelity}; the gate asks for {gate.fidelity}"
    else:
        drop = points(widest.bound.high)
        status, shown, reason = "pass", widest, f"no {noun} of {len(judged)} lost {drop}{on_device(head, allowed)}"
    return Verdict(
        gate.metric, gate.limit, "share", status, reason, fidelity, shown.pairs.n, *shown.bound, gate.confidence
    )


def _bounded(name: str, group: Group, allowed: Allowance, groups: int) -> _Group:
    """All answers in which host and device may differ might lie in this group, as far as it did not run there."""
    pairs = Pairs(group.lost, group.won, group.n)
    each, allowed = 1 - (1 - allowed.confidence) / groups, allowed._replace(together=group.together)
    drop = allowed.drop(pairs, unrun=group.unrun)
    return _Group(name, pairs, drop._replace(low=allowed.drop(pairs, each, group.unrun).low))
