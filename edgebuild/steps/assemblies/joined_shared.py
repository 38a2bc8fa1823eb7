"""How much of an assembly's work its baseline does too: none that could be told, since its parts run by chance."""

from __future__ import annotations

from dataclasses import dataclass

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.evidence import Operators, SharedWork
from edgebuild.steps.assemblies._parts import OfParts, read_all


@dataclass(frozen=True, slots=True)
class JoinedShared(OfParts):
    """Inputs: `shared/<part>`. What nothing shares widens the band of a predicted ratio, and narrows no verdict."""

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        every = [each.operators for each in read_all(SharedWork, io, "shared", self.parts)]
        operators = Operators(0, sum(each.candidate for each in every), every[-1].baseline)
        documents.write(io.output / evidence.FILE, SharedWork(0.0, 0.0, operators))
