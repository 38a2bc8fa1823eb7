"""Memory: what the model adds to the peak of its process, against a limit or against the float model."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates._timed import Limit, Ruling, judge_pairs, read_limit, rule_pairs, undecidable
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate, Timing
from edgebuild.spec.units import BYTES, show_bytes


class Memory:
    """The limit is a change ("+10 %") or an amount ("64 MiB"), of the median over processes.

    It is resident memory above that of the process with the runtime and the inputs but without a model.
    """

    regression: ClassVar[str] = "+10 %"

    @staticmethod
    def limit(text: str) -> Limit:
        """The limit as a change or in bytes; ValueError where it has no unit or no sense."""
        limit = read_limit(text, BYTES, "memory")
        if limit.percentile is not None:
            raise ValueError(f"a peak of memory happens once a process, so it has no percentiles here, got {text!r}")
        return limit

    @staticmethod
    def asks(text: str) -> str:
        """The evidence that decides: processes of one model each."""
        return "processes"

    @classmethod
    def unmeasurable(cls, gate: Gate, timing: Timing) -> str | None:
        """Why `timing` can never decide the gate, or None."""
        return undecidable(gate, cls.limit(gate.limit), timing)

    def settled(self, gate: Gate, evidence: dict[str, Any]) -> bool:
        """Whether more processes of the measurement that is under way could change nothing for this gate."""
        return self._rule(gate, evidence["processes"]).status != "continue"

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """A change by the ratio of pairs of processes, a limit by the candidate's own."""
        return judge_pairs(gate, evidence, self._rule)

    def _rule(self, gate: Gate, found: dict[str, Any]) -> Ruling:
        return rule_pairs(gate, self.limit(gate.limit), found, "memory", "memory", "B", show_bytes)
