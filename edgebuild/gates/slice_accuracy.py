"""Accuracy slice by slice: no part of the data that its function names may be worse by more than the margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from edgebuild.gates._agreement import only
from edgebuild.gates._groups import Grouped
from edgebuild.spec.evidence import Answers, Evidence, Group, Verdict, known
from edgebuild.spec.target import Gate


class SliceAccuracy(Grouped):
    """The limit is a margin such as "5 pp"; slices are what the data function returns as "slices"."""

    noun: ClassVar[str] = "slice"

    @staticmethod
    def groups(answers: Answers) -> Mapping[str, Group]:
        """Every slice."""
        return answers.slices

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """By the worst slice; inconclusive without any."""
        accuracy = known(evidence.accuracy)
        if only(accuracy).answers.slices:
            return super().judge(gate, evidence)
        reason = 'the data has no slices; let its function return {"slices": {name: mask of the test split}}'
        return Verdict(gate.metric, gate.limit, "share", "inconclusive", reason, accuracy.origin.fidelity, 0)
