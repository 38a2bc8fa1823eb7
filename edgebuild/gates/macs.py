"""MACs: multiply-accumulates of one inference, absolute or against the float baseline's."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates import _ceiling
from edgebuild.gates._ceiling import Ceiling, Counted, Counts
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate
from edgebuild.spec.units import COUNTS, show_count


class Macs(Counted):
    """The limit is a count ("2.7 M") or a change ("-50 %"). Counted on the torch model, so it carries no noise."""

    regression: ClassVar[str] = "+1 %"

    @staticmethod
    def limit(text: str) -> Ceiling:
        """The limit; ValueError where it has no unit or no sense."""
        return _ceiling.read(text, COUNTS, "a number of multiply-accumulates")

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """Pass when there are not more than the limit, else fail."""
        counts = Counts(*(evidence["footprint"][role]["macs"] for role in ("candidate", "baseline")))
        return _ceiling.judge(gate, self.limit(gate.limit), counts, "1", show_count, "hardware")
