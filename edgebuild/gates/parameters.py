"""Parameters: the numbers that were learnt, absolute or against the float baseline's."""

from __future__ import annotations

from typing import ClassVar

from edgebuild.gates._ceiling import Counted, Counts
from edgebuild.spec.evidence import Evidence, known
from edgebuild.spec.units import COUNTS, show_count


class Parameters(Counted):
    """The limit is a count ("80 k") or a change ("-50 %"). Counted on the torch model, so it carries no noise."""

    noun: ClassVar[str] = "a number of parameters"
    units: ClassVar[dict[str, float] | dict[str, int]] = COUNTS
    unit: ClassVar[str] = "1"
    show: ClassVar[staticmethod[[float], str]] = staticmethod(show_count)

    @staticmethod
    def counts(evidence: Evidence) -> Counts:
        """Parameters of both."""
        footprint = known(evidence.footprint)
        return Counts(footprint.candidate.parameters, footprint.baseline.parameters)
