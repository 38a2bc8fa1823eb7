"""Download: bytes that travel to the device, absolute or against the float baseline's file in the same format."""

from __future__ import annotations

from typing import Any

from edgebuild.gates import _ceiling
from edgebuild.gates._ceiling import Ceiling, Counted, Counts
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate
from edgebuild.spec.units import BYTES, show_bytes


class Download(Counted):
    """The limit is bytes ("32 KiB") or a change ("-97 %"). Without the step `encode` the file itself is downloaded."""

    @staticmethod
    def limit(text: str) -> Ceiling:
        """The limit; ValueError where it has no unit or no sense."""
        return _ceiling.read(text, BYTES, "a size")

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """Pass when the coded download is not larger than the limit, else fail."""
        counts = Counts(evidence["footprint"]["candidate"]["download"], evidence["footprint"]["baseline"]["bytes"])
        return _ceiling.judge(gate, self.limit(gate.limit), counts, "B", show_bytes, "hardware")
