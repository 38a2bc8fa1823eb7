"""What an assembly weighs: all its files together, against the float model's file."""

from __future__ import annotations

from dataclasses import dataclass

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.evidence import Footprint, Weight
from edgebuild.steps.assemblies._parts import OfParts, read_all


@dataclass(frozen=True, slots=True)
class JoinedFootprint(OfParts):
    """Inputs: `footprint/<part>`, each part's file against the same baseline.

    Parameters and multiply-accumulates are those of all parts together, the most that one inference may need.
    """

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        weighed = read_all(Footprint, io, "footprint", self.parts)
        ours = [each.candidate for each in weighed]
        whole = Weight(
            bytes=sum(each.bytes for each in ours),
            download=sum(each.download for each in ours),
            parameters=sum(each.parameters for each in ours),
            macs=sum(each.macs for each in ours),
        )
        documents.write(io.output / evidence.FILE, Footprint(whole, weighed[-1].baseline))
