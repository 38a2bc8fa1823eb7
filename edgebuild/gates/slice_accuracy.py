"""Accuracy slice by slice: no part of the data that its function names may be worse by more than the margin."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates import _groups
from edgebuild.gates._margin import points_of_a_share
from edgebuild.gates._remedies import Tried
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.model import Task
from edgebuild.spec.target import Gate


class SliceAccuracy:
    """The limit is a margin such as "5 pp"; slices are what the data function returns as "slices"."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    measured: ClassVar[str] = "outputs"

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
        return _groups.settled(gate, found, "slice", found["slices"])

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """By the worst slice; inconclusive without any."""
        found = evidence["accuracy"]
        if not found["slices"]:
            reason = 'the data has no slices; let its function return {"slices": {name: mask of the test split}}'
            return Verdict(gate.metric, gate.limit, "share", "inconclusive", reason, found["origin"]["fidelity"], 0)
        return _groups.judge(gate, found, "slice", found["slices"])

    def mend(self, gate: Gate, verdict: Verdict, evidence: dict[str, Any], tried: Tried) -> str:
        """A smaller loss, or more examples of the slice that the reason names."""
        return _groups.mend(gate, verdict, self.limit(gate.limit), tried)
