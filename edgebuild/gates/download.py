"""Download: bytes that travel to the device, absolute or against the float baseline's file in the same format."""

from __future__ import annotations

from typing import ClassVar

from edgebuild.gates._ceiling import Counted, Counts
from edgebuild.spec.evidence import Evidence, known
from edgebuild.spec.units import BYTES, show_bytes


class Download(Counted):
    """The limit is bytes ("32 KiB") or a change ("-97 %"). Without the step `encode` the file itself is downloaded."""

    regression: ClassVar[str | None] = None
    noun: ClassVar[str] = "a size"
    units: ClassVar[dict[str, float] | dict[str, int]] = BYTES
    unit: ClassVar[str] = "B"
    show: ClassVar[staticmethod[[float], str]] = staticmethod(show_bytes)

    @staticmethod
    def counts(evidence: Evidence) -> Counts:
        """Bytes of the coded download, and of the baseline as a file."""
        footprint = known(evidence.footprint)
        return Counts(footprint.candidate.download, footprint.baseline.bytes)
