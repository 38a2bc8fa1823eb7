"""Memory for the activations of an assembly: all parts are open at once, so it is the sum of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.evidence import Activations, Arena
from edgebuild.steps.assemblies._parts import read_all


@dataclass(frozen=True, slots=True)
class JoinedArena(Step):
    """Inputs: `arena/<part>`, each part's file against the same baseline."""

    parts: tuple[str, ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        planned = read_all(Arena, io, "arena", self.parts)
        ours = [each.candidate for each in planned]
        whole = Activations(sum(each.bytes for each in ours), sum(each.tensors for each in ours))
        documents.write(io.output / evidence.FILE, Arena(whole, planned[-1].baseline))
