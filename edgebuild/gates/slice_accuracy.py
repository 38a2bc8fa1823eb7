"""Accuracy slice by slice: no part of the data that its function names may be worse by more than the margin."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates._groups import Grouped
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate


class SliceAccuracy(Grouped):
    """The limit is a margin such as "5 pp"; slices are what the data function returns as "slices"."""

    noun: ClassVar[str] = "slice"
    several: ClassVar[str] = "slices"

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """By the worst slice; inconclusive without any."""
        found = evidence["accuracy"]
        if found[self.several]:
            return super().judge(gate, evidence)
        reason = 'the data has no slices; let its function return {"slices": {name: mask of the test split}}'
        return Verdict(gate.metric, gate.limit, "share", "inconclusive", reason, found["origin"]["fidelity"], 0)
