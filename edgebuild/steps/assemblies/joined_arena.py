"""Memory for the activations of an assembly: all parts are open at once, so it is the sum of theirs."""

from __future__ import annotations

from dataclasses import dataclass

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.evidence import Activations, Arena
from edgebuild.steps.assemblies._parts import OfParts, read_all


@dataclass(frozen=True, slots=True)
class JoinedArena(OfParts):
    """Inputs: `arena/<part>`, each part's file against the same baseline."""

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        planned = read_all(Arena, io, "arena", self.parts)
        ours = [each.candidate for each in planned]
        whole = Activations(sum(each.bytes for each in ours), sum(each.tensors for each in ours))
        documents.write(io.output / evidence.FILE, Arena(whole, planned[-1].baseline))
