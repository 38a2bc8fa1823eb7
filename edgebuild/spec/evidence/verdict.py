"""Verdicts: what a gate makes of evidence, and what follows for a release."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgebuild.spec.target import Fidelity

Status = Literal["pass", "fail", "inconclusive"]

EXIT_CODES: dict[Status, int] = {"pass": 0, "fail": 1, "inconclusive": 3}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says: the estimate with its interval, over n observations, the rule that fired, and `next`, what is
    likely to mend it where it is no pass.

    `output` is the head, or the one output, that a gate was narrowed to. `confidence` is that of each end of the
    interval; None where nothing was left to chance.
    """

    metric: str
    limit: str
    unit: str
    status: Status
    reason: str
    fidelity: Fidelity
    n: int
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    next: str = ""
    output: str = ""

    @property
    def name(self) -> str:
        """The metric, and of which head or output it is where there are several."""
        return f"{self.metric} of {self.output}" if self.output else self.metric

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain data."""
        return asdict(self)


def combine(statuses: list[Status]) -> Status:
    """A release needs every pass: one fail fails, else one doubt is a doubt; no gate at all proves nothing."""
    if "fail" in statuses:
        return "fail"
    return "pass" if statuses and all(status == "pass" for status in statuses) else "inconclusive"
