"""Arena: memory for the activations of one inference, absolute or against the float baseline's."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates import _ceiling
from edgebuild.gates._ceiling import Ceiling, Counted, Counts
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate
from edgebuild.spec.units import BYTES, show_bytes


class Arena(Counted):
    """The limit is bytes ("64 KiB") or a change ("-50 %").

    What is limited is a static plan of inputs, outputs and what lies between, made of the model file: it carries no
    noise, and it leaves out weights and what kernels need for themselves. `memory` measures a process whole.
    """

    regression: ClassVar[str] = "+1 %"

    @staticmethod
    def limit(text: str) -> Ceiling:
        """The limit; ValueError where it has no unit or no sense."""
        return _ceiling.read(text, BYTES, "an arena")

    @staticmethod
    def asks(text: str) -> str:
        """The evidence that decides."""
        return "arena"

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """Pass when the plan is not larger than the limit, else fail."""
        counts = Counts(*(evidence["arena"][role]["bytes"] for role in ("candidate", "baseline")))
        return _ceiling.judge(gate, self.limit(gate.limit), counts, "B", show_bytes, "hardware")
