"""Margins of non-inferiority: how they are written, and how many examples it takes to stay inside one."""

from __future__ import annotations

from edgebuild.gates._remedies import gentler, more_examples
from edgebuild.gates._undecided import Undecided
from edgebuild.gates.statistics import clustered, paired
from edgebuild.spec.evidence import Clusters, Verdict
from edgebuild.spec.metric import Tried
from edgebuild.spec.target import Gate
from edgebuild.spec.units import SHARE, parse


def points_of_a_share(text: str) -> float:
    """A margin such as "1 pp" as a share, above 0 and below 1; ValueError otherwise."""
    margin = parse(text, SHARE)
    if not 0 < margin < 1:
        raise ValueError(f"a margin must be above 0 and below 100 pp, not {text!r}")
    return margin


def plain(text: str) -> float:
    """A margin without unit such as "0.01", above 0 and below 1; ValueError otherwise."""
    try:
        margin = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a plain number such as 0.01") from None
    if not 0 < margin < 1:
        raise ValueError(f"a margin must be above 0 and below 1, not {text!r}")
    return margin


def least(margin: float, gate: Gate) -> int:
    """Examples below which no result at all is inside the margin, not even that nothing changed."""
    return paired.examples_needed(0, margin, alpha=1 - gate.confidence)


def undecided(
    pairs: paired.Pairs, margin: float, gate: Gate, error: float | None = None, together: Clusters | None = None
) -> str:
    """Which way a drop points that is neither proved inside the margin nor outside, and what would decide it.

    `error` is what a fail may err by, where that is not what the gate allows; `together` how examples of groups count.
    """
    allowed, drop = 1 - gate.confidence, (pairs.lost - pairs.won) / pairs.n
    inside = drop < margin
    if inside and pairs.n < least(margin, gate):
        return f"{pairs.n} examples are too few for any pass: {least(margin, gate)} or more are needed"
    effect = together.effect if together is not None else 1.0
    if inside and (alone := round(pairs.n / effect)) < least(margin, gate):
        remedy = f"{least(margin, gate)} or more are needed, of more groups"
        return f"examples that count as {alone} independent ones are too few for any pass: {remedy}"
    allowed = allowed if inside or error is None else error
    p = clustered.score_p(pairs, margin, together)
    needed = paired.examples_to_decide(pairs, margin, alpha=allowed) * effect
    points = f"the drop of {100 * drop:.2f} pp"
    return Undecided(points, inside, p if inside else 1 - p, allowed, needed, pairs.n).reason


def mend(verdict: Verdict, margin: float, needed: int, tried: Tried) -> str:
    """What costs less where the estimate is outside the margin; else what would settle it.

    `needed` are the examples that would do if the model is as good as it looked.
    """
    if verdict.status == "fail" or (verdict.estimate is not None and verdict.estimate >= margin):
        return gentler(tried)
    if needed > verdict.n:
        return f"{more_examples(verdict.n, needed)}; or {gentler(tried)}"
    return gentler(tried)
