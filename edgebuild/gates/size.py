"""Size: bytes of the model file, absolute or against the float baseline in the same format."""

from __future__ import annotations

from typing import ClassVar

from edgebuild.gates._ceiling import Counted, Counts
from edgebuild.spec.evidence import Evidence, known
from edgebuild.spec.units import BYTES, show_bytes


class Size(Counted):
    """The limit is bytes ("64 KiB") or a change ("-90 %": at most a tenth of the float file). Sizes carry no noise."""

    noun: ClassVar[str] = "a size"
    units: ClassVar[dict[str, float] | dict[str, int]] = BYTES
    unit: ClassVar[str] = "B"
    show: ClassVar[staticmethod[[float], str]] = staticmethod(show_bytes)

    @staticmethod
    def counts(evidence: Evidence) -> Counts:
        """Bytes of both files."""
        footprint = known(evidence.footprint)
        return Counts(footprint.candidate.bytes, footprint.baseline.bytes)
