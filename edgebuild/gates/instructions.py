"""Instructions: what one inference executes on the target's core, absolute or against the float baseline's."""

from __future__ import annotations

from typing import ClassVar, Literal

from edgebuild.gates import _ceiling
from edgebuild.gates._ceiling import Counted, Counts
from edgebuild.spec.evidence import Evidence, Predicted, Verdict, known
from edgebuild.spec.target import Gate
from edgebuild.spec.units import COUNTS, show_count

# Counts of the same file have been seen to differ by as much between runs, on a busy machine (docs/devices.md).
_REPEATS_WITHIN = 3e-4


class Instructions(Counted):
    """The limit is a count ("9.1 M") or a change ("-50 %"), of one inference on one thread, counted by an emulator."""

    measured: ClassVar[Literal["outputs", "latency"] | None] = "latency"
    noun: ClassVar[str] = "a number of instructions"
    units: ClassVar[dict[str, float] | dict[str, int]] = COUNTS
    unit: ClassVar[str] = "1"
    show: ClassVar[staticmethod[[float], str]] = staticmethod(show_count)

    @classmethod
    def unchanged(cls, text: str) -> bool | None:
        """Whether the baseline itself is inside the limit; None for a limit that is on no change."""
        return cls.limit(text).unchanged

    @staticmethod
    def counts(evidence: Evidence) -> Counts:
        """Instructions of both, and how well they repeat."""
        latency = known(evidence.latency)
        assert isinstance(latency, Predicted)
        counted = latency.counted
        return Counts(counted.candidate.instructions, counted.baseline.instructions, _REPEATS_WITHIN)

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """Pass or fail as soon as the count is farther from the limit than counts repeat."""
        latency = known(evidence.latency)
        if not isinstance(latency, Predicted):
            reason = 'no device counted instructions; name transport "qemu" first in [[devices]], set up by '
            reason += "`edgebuild devices setup`"
            return Verdict(gate.metric, gate.limit, "1", "inconclusive", reason, latency.fidelity, 0)
        counts = self.counts(evidence)
        return _ceiling.judge(gate, self.limit(gate.limit), counts, self.unit, self.show, latency.fidelity)
