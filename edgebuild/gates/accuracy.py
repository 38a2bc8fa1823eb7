"""Accuracy: the candidate may be worse than its float baseline by at most the margin, shown pair by pair."""

from __future__ import annotations

import math
from typing import ClassVar

from edgebuild.gates import _margin
from edgebuild.gates._agreement import Compared, allowance, of_groups, on_device, only, points, why_open
from edgebuild.gates._right import RightAnswers
from edgebuild.gates.statistics import clustered, paired
from edgebuild.spec.evidence import Answers, Evidence, Status, Verdict, known
from edgebuild.spec.metric import Tried
from edgebuild.spec.target import Gate, reaches

_FASTER = "; where it was not done yet, `edgebuild devices setup --faster` lets int8 files run more in the same time"


class Accuracy(RightAnswers):
    """Paired non-inferiority by the score interval of Tango 1998; the limit is a margin such as "1 pp"."""

    regression: ClassVar[str | None] = "1 pp"

    @classmethod
    def least(cls, gate: Gate) -> int:
        """Held-out examples below which it can never pass."""
        return _margin.least(cls.limit(gate.limit), gate)

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """Pass when the bound on the drop is inside the margin, fail when it is proved to be outside."""
        accuracy, margin = known(evidence.accuracy), self.limit(gate.limit)
        head, fidelity = only(accuracy), accuracy.origin.fidelity
        allowed, pairs = allowance(head, gate.confidence), _pairs(head)
        bound = allowed.drop(pairs)
        status: Status = "inconclusive"
        if bound.low >= margin:
            status, reason = "fail", f"the drop is at least {points(bound.low)}"
        elif bound.high >= margin:
            reason = f"{why_open(pairs, margin, gate, allowed)}{on_device(head, allowed)}"
        elif not reaches(fidelity, gate.fidelity):
            reason = f"inside the margin, but only {fidelity}; the gate asks for {gate.fidelity}"
        else:
            status, reason = "pass", f"the drop is below {points(bound.high)}{on_device(head, allowed)}"
        reason += of_groups(head.answers) + _worst(head.answers) + _no_better_than_one_answer(head.answers)
        return Verdict("accuracy", gate.limit, "share", status, reason, fidelity, pairs.n, *bound, gate.confidence)

    def mend(self, gate: Gate, verdict: Verdict, evidence: Evidence, tried: Tried) -> str:
        """A smaller loss, more held-out examples, or where the device took only some of them, more of those."""
        head, margin = only(known(evidence.accuracy)), self.limit(gate.limit)
        allowed, pairs = allowance(head, gate.confidence), _pairs(head)
        alone = clustered.drop_bound(pairs.lost, pairs.won, pairs.n, allowed.confidence, allowed.together)
        device = head.answers.device
        if device is not None and verdict.high is not None and alone.high < margin <= verdict.high:
            cut = head.looks is not None and head.looks.cut is not None
            more = "a longer `budget`" if cut else "more `examples`"
            faster = _FASTER if cut and verdict.fidelity == "emulated" else ""
            return f"{more} in [[devices]] of the target: {device.n} of {verdict.n} ran on the device{faster}"
        room = margin - max(verdict.estimate or 0.0, 0.0)
        needed = paired.examples_needed(pairs.discordant_rate, room, alpha=1 - gate.confidence) if room > 0 else 0
        needed = math.ceil(needed * (allowed.together.effect if allowed.together else 1.0))
        return _margin.mend(verdict, margin, needed, tried)


def _pairs(head: Compared) -> paired.Pairs:
    return paired.Pairs(head.answers.lost, head.answers.won, head.answers.n)


def _worst(answers: Answers) -> str:
    """The class that lost most, where one lost anything; which class that is owes something to chance."""
    name, worst = max(answers.classes.items(), key=lambda item: item[1].drop, default=("", None))
    if worst is None or worst.drop <= 0:
        return ""
    return f"; most in class {name!r}: {points(worst.drop)} of {worst.n} examples"


def _no_better_than_one_answer(answers: Answers) -> str:
    """Where what nothing may be lost from is itself not proved to be better than the same answer to every example."""
    name, most = max(answers.classes.items(), key=lambda item: item[1].n, default=("", None))
    if most is None or len(answers.classes) < 2 or answers.baseline.low > most.n / answers.n:
        return ""
    right = f"the float model itself is right in {answers.baseline.accuracy:.0%}"
    return f"; {right}, not proved to be more than {name!r} as every answer: {most.n / answers.n:.0%}"
