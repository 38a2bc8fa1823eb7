"""How much of an assembly's work its baseline does too: none that could be told, since its parts run by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.evidence import Operators, SharedWork
from edgebuild.steps.assemblies._parts import read_all


@dataclass(frozen=True, slots=True)
class JoinedShared(Step):
    """Inputs: `shared/<part>`. What nothing shares widens the band of a predicted ratio, and narrows no verdict."""

    parts: tuple[str, ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        every = [each.operators for each in read_all(SharedWork, io, "shared", self.parts)]
        operators = Operators(0, sum(each.candidate for each in every), every[-1].baseline)
        documents.write(io.output / evidence.FILE, SharedWork(0.0, 0.0, operators))
