"""Cold start: the time to load the model and answer once in a fresh process, against a limit or the float model."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates._timed import Limit, Ruling, judge_pairs, read_limit, rule_pairs, undecidable
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate, Timing
from edgebuild.spec.units import SECONDS, show_seconds


class ColdStart:
    """The limit is a change ("+10 %") or a time ("300 ms"), of the median over processes.

    Python and the runtime's library count as there already: they belong to the application.
    """

    regression: ClassVar[str] = "+10 %"

    @staticmethod
    def limit(text: str) -> Limit:
        """The limit as a change or in seconds; ValueError where it has no unit or no sense."""
        limit = read_limit(text, SECONDS, "a time")
        if limit.percentile is not None:
            raise ValueError(f"a cold start happens once a process, so it has no percentiles here, got {text!r}")
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
        return rule_pairs(gate, self.limit(gate.limit), found, "cold_start", "time", "s", show_seconds)
