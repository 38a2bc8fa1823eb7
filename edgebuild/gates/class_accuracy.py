"""Accuracy class by class: no class may be worse than with the float baseline by more than the margin."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates import _groups
from edgebuild.gates._margin import points_of_a_share
from edgebuild.gates._remedies import Tried
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.model import Task
from edgebuild.spec.target import Gate


class ClassAccuracy:
    """The limit is a margin such as "5 pp"; the examples of each class must suffice for it."""

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
        return _groups.settled(gate, found, "class", found["classes"])

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """By the worst class."""
        found = evidence["accuracy"]
        return _groups.judge(gate, found, "class", found["classes"])

    def mend(self, gate: Gate, verdict: Verdict, evidence: dict[str, Any], tried: Tried) -> str:
        """A smaller loss, or more examples of the class that the reason names."""
        return _groups.mend(gate, verdict, self.limit(gate.limit), tried)
