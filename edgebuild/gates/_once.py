"""What gates share on that which a process has only once: its start, the peak of its memory."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates._remedies import Tried
from edgebuild.gates._timed import Limit, Ruling, judge_pairs, mend_timed, read_limit, rule_pairs, undecidable
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate, Timing


class Once:
    """Judged over processes of one model each: a change by the ratio of pairs, a limit by the candidate's own.

    `what` is the key of the evidence, `noun` and `told` are what messages call it, `unit` and `show` how it is written.
    """

    regression: ClassVar[str] = "+10 %"
    what: ClassVar[str]
    noun: ClassVar[str]
    told: ClassVar[str]
    unit: ClassVar[str]
    units: ClassVar[dict[str, Any]]
    show: ClassVar[staticmethod[[float], str]]

    @classmethod
    def limit(cls, text: str) -> Limit:
        """The limit as a change or an amount; ValueError where it has no unit or no sense."""
        limit = read_limit(text, cls.units, cls.noun)
        if limit.percentile is not None:
            name = cls.what.replace("_", " ")
            raise ValueError(f"{name} is measured once a process, so it has no percentiles here, got {text!r}")
        return limit

    @classmethod
    def unchanged(cls, text: str) -> bool | None:
        """Whether the baseline itself is inside the limit; None for a limit that is on no change."""
        return cls.limit(text).unchanged

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
        """The verdict; inconclusive where no device measured processes."""
        return judge_pairs(gate, evidence, self._rule)

    def mend(self, gate: Gate, verdict: Verdict, evidence: dict[str, Any], tried: Tried) -> str:
        """A smaller model, or a better measurement."""
        return mend_timed(verdict, tried)

    @classmethod
    def _rule(cls, gate: Gate, found: dict[str, Any]) -> Ruling:
        return rule_pairs(gate, cls.limit(gate.limit), found, cls.what, cls.told, cls.unit, cls.show)
