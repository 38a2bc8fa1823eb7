"""What a device's answers may add to a drop that was counted on the host: shared by the gates on right answers."""

from __future__ import annotations

from typing import Any, NamedTuple

from edgebuild.measure import paired


class Allowance(NamedTuple):
    """Confidence left for the interval of the drop, and the share of examples by which it is widened."""

    confidence: float
    penalty: float


def allowance(found: dict[str, Any], confidence: float) -> Allowance:
    """How accuracy evidence allows for a device that ran only some examples, so that both hold jointly.

    Two bounds that may each be wrong add up to one that is wrong as often as both together (Bonferroni), so each gets
    half of 1 − confidence. Where every example ran on the device, the share of differing answers is known.
    """
    agreement = found.get("agreement")
    if agreement is None:
        return Allowance(confidence, 0.0)
    differing, n = agreement["answers_differing"], agreement["n"]
    if agreement["whole"]:
        return Allowance(confidence, differing / n)
    half = (1 + confidence) / 2
    return Allowance(half, paired.differing_bound(differing, n, half))


def told(found: dict[str, Any], allowed: Allowance) -> str:
    """How the device's own answers compare with the host's, where only some examples ran on the device."""
    agreement = found.get("agreement")
    if agreement is None:
        return ""
    most = points(allowed.penalty)
    if agreement["identical"]:
        said = f"; host and device are bit-identical on {agreement['n']} examples"
        return said if agreement["whole"] else f"{said}, so answers differ in at most {most}"
    said = f"; host and device differ in {agreement['answers_differing']} of {agreement['n']} answers"
    return said if agreement["whole"] else f"{said}, so in at most {most}"


def points(share: float) -> str:
    """A share in percentage points."""
    return f"{100 * share:.2f} pp"
