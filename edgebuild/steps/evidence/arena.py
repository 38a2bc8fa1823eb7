"""Memory for the activations of one inference, as a static plan finds it in the model file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.registry import FORMATS
from edgebuild.steps.evidence import _packing


@dataclass(frozen=True, slots=True)
class Arena(Step):
    """Bytes of inputs, outputs and everything between, without weights and without the kernels' own scratch."""

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("candidate", "baseline")
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        arena = evidence.Arena(self._plan(io, "candidate"), self._plan(io, "baseline"))
        documents.write(io.output / evidence.FILE, arena)

    def _plan(self, io: StepIO, role: str) -> evidence.Activations:
        kind = FORMATS.get(io.kind(role))
        tensors = kind().lifetimes((io.path(role) / kind.file).read_bytes())
        return evidence.Activations(_packing.planned(tensors), len(tensors))
