"""What gates share on that which a process has only once: its start, the peak of its memory."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from edgebuild.gates._timed import (
    Amount,
    Limit,
    Ruling,
    judge_pairs,
    mend_timed,
    read_limit,
    rule_pairs,
    undecidable,
)
from edgebuild.spec.evidence import Evidence, Processes, Samples, Verdict, known
from edgebuild.spec.metric import Metric, Tried
from edgebuild.spec.target import Gate, Timing


class Once(Metric[Limit]):
    """Judged over processes of one model each: a change by the ratio of pairs, a limit by the candidate's own.

    `title` and `noun` are what messages call it and a value of it; `units` are those of limits.
    """

    regression: ClassVar[str | None] = "+10 %"
    title: ClassVar[str]
    noun: ClassVar[str]
    units: ClassVar[dict[str, float] | dict[str, int]]
    amount: ClassVar[Amount]

    @staticmethod
    @abstractmethod
    def samples(processes: Processes) -> Samples:
        """Its values in the evidence."""

    @classmethod
    def limit(cls, text: str) -> Limit:
        """The limit as a change or an amount; ValueError where it has no unit or no sense."""
        limit = read_limit(text, cls.units, cls.noun)
        if limit.percentile is not None:
            raise ValueError(f"{cls.title} is measured once a process, so it has no percentiles here, got {text!r}")
        return limit

    @classmethod
    def implies(cls, strong: Limit, weak: Limit) -> bool:
        """Whether keeping one limit keeps the other."""
        return strong.implies(weak)

    @classmethod
    def unchanged(cls, text: str) -> bool | None:
        """Whether the baseline itself is inside the limit; None for a limit that is on no change."""
        return cls.limit(text).unchanged

    @classmethod
    def asks(cls, text: str) -> str:
        """The evidence that decides: processes of one model each."""
        return "processes"

    @classmethod
    def unmeasurable(cls, gate: Gate, timing: Timing) -> str | None:
        """Why `timing` can never decide the gate, or None."""
        return undecidable(gate, cls.limit(gate.limit), timing)

    def settled(self, gate: Gate, evidence: Evidence) -> bool:
        """Whether more processes of the measurement that is under way could change nothing for this gate."""
        return self._rule(gate, known(evidence.processes)).status != "continue"

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """The verdict; inconclusive where no device measured processes."""
        return judge_pairs(gate, evidence, self._rule)

    def mend(self, gate: Gate, verdict: Verdict, evidence: Evidence, tried: Tried) -> str:
        """A smaller model, or a better measurement."""
        return mend_timed(verdict, tried)

    @classmethod
    def _rule(cls, gate: Gate, processes: Processes) -> Ruling:
        return rule_pairs(gate, cls.limit(gate.limit), cls.samples(processes), processes.looks, cls.amount)
