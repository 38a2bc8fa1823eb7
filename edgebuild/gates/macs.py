"""MACs: multiply-accumulates of one inference, absolute or against the float baseline's."""

from __future__ import annotations

from typing import ClassVar

from edgebuild.gates._ceiling import Counted, Counts
from edgebuild.spec.evidence import Evidence, known
from edgebuild.spec.units import COUNTS, show_count


class Macs(Counted):
    """The limit is a count ("2.7 M") or a change ("-50 %"). Counted on the torch model, so it carries no noise."""

    noun: ClassVar[str] = "a number of multiply-accumulates"
    units: ClassVar[dict[str, float] | dict[str, int]] = COUNTS
    unit: ClassVar[str] = "1"
    show: ClassVar[staticmethod[[float], str]] = staticmethod(show_count)

    @staticmethod
    def counts(evidence: Evidence) -> Counts:
        """Multiply-accumulates of both."""
        footprint = known(evidence.footprint)
        return Counts(footprint.candidate.macs, footprint.baseline.macs)
