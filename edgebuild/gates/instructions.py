"""Instructions: what one inference executes on the target's core, absolute or against the float baseline's."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates import _ceiling
from edgebuild.gates._ceiling import Ceiling, Counted, Counts
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate
from edgebuild.spec.units import COUNTS, show_count

# Counts of the same file have been seen to differ by as much between runs, on a busy machine (docs/devices.md).
_REPEATS_WITHIN = 3e-4


class Instructions(Counted):
    """The limit is a count ("9.1 M") or a change ("-50 %"), of one inference on one thread, counted by an emulator."""

    regression: ClassVar[str] = "+1 %"
    measured: ClassVar[str] = "latency"

    @staticmethod
    def limit(text: str) -> Ceiling:
        """The limit; ValueError where it has no unit or no sense."""
        return _ceiling.read(text, COUNTS, "a number of instructions")

    @classmethod
    def unchanged(cls, text: str) -> bool | None:
        """Whether the baseline itself is inside the limit; None for a limit that is on no change."""
        return cls.limit(text).unchanged

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """Pass or fail as soon as the count is farther from the limit than counts repeat."""
        latency = evidence["latency"]
        if "counted" not in latency:
            reason = 'no device counted instructions; name transport "qemu" first in [[devices]], set up by '
            reason += "`edgebuild devices setup`"
            return Verdict(gate.metric, gate.limit, "1", "inconclusive", reason, latency["fidelity"], 0)
        ours, theirs = (latency["counted"][role]["instructions"] for role in ("candidate", "baseline"))
        counts = Counts(ours, theirs, _REPEATS_WITHIN)
        return _ceiling.judge(gate, self.limit(gate.limit), counts, "1", show_count, latency["fidelity"])
