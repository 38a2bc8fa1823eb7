"""What answers of a device that were not asked for may add to a drop: shared by the gates on right answers.

The device's own answers count for the examples that ran there and the host's for the others. Of those, some may be
wrong on the device alone: how many at most follows from those that ran, which were drawn at random.
"""

from __future__ import annotations

from typing import NamedTuple

from edgebuild.gates._margin import undecided
from edgebuild.gates.statistics import sampling
from edgebuild.gates.statistics.clustered import drop_bound
from edgebuild.gates.statistics.paired import Bound, Pairs
from edgebuild.gates.statistics.partly import Draws, highest_drop
from edgebuild.spec.evidence import Accuracy, Agreement, Answers, Clusters, Looks
from edgebuild.spec.target import Gate


class Allowance(NamedTuple):
    """What the bounds of a drop allow for: their confidence, and the draws that tell of answers not asked for.

    `lost` and `won` count examples that the device alone gets wrong, and right; None where it ran them all. `together`
    says how examples count that are of groups.
    """

    confidence: float
    lost: Draws | None = None
    won: Draws | None = None
    together: Clusters | None = None

    def drop(self, pairs: Pairs, confidence: float | None = None, unrun: int | None = None) -> Bound:
        """The one-sided bounds on a drop, whatever `unrun` of its examples answer (None: all that did not run)."""
        each, estimate = confidence or self.confidence, (pairs.lost - pairs.won) / pairs.n
        if self.lost is None or self.won is None:
            return drop_bound(pairs.lost, pairs.won, pairs.n, each, self.together)
        left = self.lost.total - self.lost.n if unrun is None else unrun
        high = highest_drop(pairs.lost, pairs.won, pairs.n, left, self.lost, each, self.together)
        low = -highest_drop(pairs.won, pairs.lost, pairs.n, left, self.won, each, self.together)
        return Bound(estimate, low, high)

    @property
    def worse(self) -> int:
        """How many of the examples that did not run may be wrong on the device alone, at any look."""
        return sampling.most_of_kind(*self.lost, self.confidence) - self.lost.seen if self.lost else 0


class Compared(NamedTuple):
    """One head's right answers, and how the device's outputs compare with this machine's where it ran beside it."""

    answers: Answers
    agreement: Agreement | None
    output: str

    @property
    def looks(self) -> Looks | None:
        """When the device was asked whether it has run enough; None where it ran what it was told to."""
        return self.agreement.origin.looks if self.agreement else None


def heads(accuracy: Accuracy) -> list[Compared]:
    """Every head of a model with the comparison of its output."""
    return [Compared(answers, accuracy.agreement, name) for name, answers in accuracy.heads.items()]


def only(accuracy: Accuracy) -> Compared:
    """The one head of a model that has no other."""
    (head,) = heads(accuracy)
    return head


def allowance(head: Compared, confidence: float) -> Allowance:
    """How right answers allow for a device that ran only some examples; nothing, where it ran them all."""
    device = head.answers.device
    if device is None or device.n == device.of:
        return Allowance(confidence, together=head.answers.together)
    most = head.looks.most if head.looks else device.n
    lost, won = (Draws(count, device.n, device.of, most) for count in (device.lost, device.won))
    return Allowance(confidence, lost, won, head.answers.together)


def why_open(pairs: Pairs, margin: float, gate: Gate, allowed: Allowance, error: float | None = None) -> str:
    """What lacks for a verdict: examples, or only answers of the device; `error` as `undecided` takes it."""
    bound = drop_bound(pairs.lost, pairs.won, pairs.n, allowed.confidence, allowed.together)
    if bound.high < margin:
        return f"inside the margin (below {points(bound.high)}) but for what the device was not asked"
    if bound.low >= margin:
        return f"beyond the margin (at least {points(bound.low)}) but for what the device was not asked"
    return undecided(pairs, margin, gate, error, allowed.together)


def on_device(head: Compared, allowed: Allowance) -> str:
    """How the device's own answers compare with the host's, how many were asked for and why no more."""
    device = head.answers.device
    if device is None or head.agreement is None:
        return ""
    n, of, differences = device.n, device.of, head.agreement.outputs[head.output]
    same = "are bit-identical" if differences.identical else f"differ in {differences.answers_differing} of {n} answers"
    if n == of:
        return f"; host and device {same} on all {n} examples" if differences.identical else f"; host and device {same}"
    on = f" on {n} of {of} examples" if differences.identical else ""
    rest = f"of the other {of - n} at most {allowed.worse} are wrong there alone ({allowed.confidence:.4g} at any look)"
    return f"; host and device {same}{on}, {rest}{_stopped(head.looks)}"


def of_groups(answers: Answers) -> str:
    """As how many independent examples those of groups count."""
    if (own := answers.together) is None:
        return ""
    what = f"the {answers.n} examples are of {own.groups} group{'s' if own.groups > 1 else ''}"
    return f"; {what} and count as {answers.n / own.effect:.0f} independent ones"


def _stopped(looks: Looks | None) -> str:
    """At which look the device was stopped, and why."""
    if looks is None:
        return ""
    at = f"look {len(looks.at)}" if len(looks.at) > 1 else "the first look"
    return f"; stopped at {at}: {looks.why}"


def points(share: float) -> str:
    """A share in percentage points."""
    return f"{100 * share:.2f} pp"
