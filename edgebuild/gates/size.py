"""Size: bytes of the model file, absolute or against the float baseline in the same format."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates import _ceiling
from edgebuild.gates._ceiling import Ceiling, Counted, Counts
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate
from edgebuild.spec.units import BYTES, show_bytes


class Size(Counted):
    """The limit is bytes ("64 KiB") or a change ("-90 %": at most a tenth of the float file). Sizes carry no noise."""

    regression: ClassVar[str] = "+1 %"

    @staticmethod
    def limit(text: str) -> Ceiling:
        """The limit; ValueError where it has no unit or no sense."""
        return _ceiling.read(text, BYTES, "a size")

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """Pass when the file is not larger than the limit, else fail."""
        counts = Counts(*(evidence["footprint"][role]["bytes"] for role in ("candidate", "baseline")))
        return _ceiling.judge(gate, self.limit(gate.limit), counts, "B", show_bytes, "hardware")
