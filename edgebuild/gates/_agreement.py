"""What answers of a device that were not asked for may add to a drop: shared by the gates on right answers.

The device's own answers count for the examples that ran there and the host's for the others. Of those, some may be
wrong on the device alone: how many at most follows from those that ran, which were drawn at random.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from edgebuild.gates._margin import undecided
from edgebuild.measure import sampling
from edgebuild.measure.paired import Bound, Pairs, drop_bound
from edgebuild.spec.target import Gate


class Allowance(NamedTuple):
    """Confidence left for the bounds of the drop, and how many more answers may be worse or better on the device."""

    confidence: float
    worse: int = 0
    better: int = 0

    def drop(self, pairs: Pairs, confidence: float | None = None, unrun: int | None = None) -> Bound:
        """The bounds on a drop, each at `confidence` (that which is left), whatever `unrun` of the examples answer.

        The worst case loses answers that both models get right; then those that only the candidate does.
        """
        each = self.confidence if confidence is None else confidence
        worse, better = (min(more, pairs.n if unrun is None else unrun) for more in self[1:])
        lost, won, n = pairs.lost, pairs.won, pairs.n
        lose, win = (min(more, n - lost - won) for more in (worse, better))
        high = drop_bound(lost + lose, max(0, won - (worse - lose)), n, each).high
        low = drop_bound(max(0, lost - (better - win)), won + win, n, each).low
        return Bound((lost - won) / n, low, high)


def allowance(found: dict[str, Any], confidence: float) -> Allowance:
    """How accuracy evidence allows for a device that ran only some examples, so that all holds jointly.

    Two bounds that may each be wrong add up to one that is wrong as often as both together (Bonferroni), so each gets
    half of 1 − confidence. Where every example ran on the device nothing is left to allow for.
    """
    agreement = found.get("agreement")
    if agreement is None or agreement["n"] == agreement["of"]:
        return Allowance(confidence)
    half, n, of = (1 + confidence) / 2, agreement["n"], agreement["of"]
    most = agreement.get("looks", {}).get("most", n)
    worse, better = (
        sampling.most_of_kind(agreement[kind], n, of, most, half) - agreement[kind] for kind in ("lost", "won")
    )
    return Allowance(half, worse, better)


def why_open(pairs: Pairs, margin: float, gate: Gate, allowed: Allowance, error: float | None = None) -> str:
    """What lacks for a verdict: examples, or only answers of the device; `error` as `undecided` takes it."""
    bound = drop_bound(pairs.lost, pairs.won, pairs.n, allowed.confidence)
    if bound.high < margin:
        return f"inside the margin (below {points(bound.high)}) but for what the device was not asked"
    if bound.low >= margin:
        return f"beyond the margin (at least {points(bound.low)}) but for what the device was not asked"
    return undecided(pairs, margin, gate, error)


def told(found: dict[str, Any], allowed: Allowance) -> str:
    """How the device's own answers compare with the host's, how many were asked for and why no more."""
    agreement = found.get("agreement")
    if agreement is None:
        return ""
    n, of, differing = agreement["n"], agreement["of"], agreement["answers_differing"]
    same = "are bit-identical" if agreement["identical"] else f"differ in {differing} of {n} answers"
    if n == of:
        return (
            f"; host and device {same} on all {n} examples" if agreement["identical"] else f"; host and device {same}"
        )
    on = f" on {n} of {of} examples" if agreement["identical"] else ""
    rest = f"of the other {of - n} at most {allowed.worse} are wrong there alone ({allowed.confidence:.4g} at any look)"
    return f"; host and device {same}{on}, {rest}{_stopped(agreement.get('looks'))}"


def _stopped(looks: dict[str, Any] | None) -> str:
    """At which look the device was stopped, and why."""
    if not looks:
        return ""
    at = f"look {len(looks['at'])}" if len(looks["at"]) > 1 else "the first look"
    return f"; stopped at {at}: {looks['why']}"


def points(share: float) -> str:
    """A share in percentage points."""
    return f"{100 * share:.2f} pp"
