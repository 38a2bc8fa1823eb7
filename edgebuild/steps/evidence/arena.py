"""Memory for the activations of one inference, as a static plan finds it in the model file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Input, Step, StepIO
from edgebuild.spec.registry import FORMATS
from edgebuild.steps.evidence import _deployed, _packing


@dataclass(frozen=True, slots=True)
class Arena(Step):
    """Inputs: `candidate` and `baseline`, each a file or one for each part. All parts are open at once, so the memory
    of an assembly is the sum of theirs.

    Bytes of inputs, outputs and everything between, without weights and without the kernels' own scratch.
    """

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        arena = evidence.Arena(self._plan(io, "candidate"), self._plan(io, "baseline"))
        documents.write(io.output / evidence.FILE, arena)

    def _plan(self, io: StepIO, role: str) -> evidence.Activations:
        planned = [_of_file(item) for item in _deployed.files(io, role).values()]
        return evidence.Activations(sum(each.bytes for each in planned), sum(each.tensors for each in planned))


def _of_file(item: Input) -> evidence.Activations:
    kind = FORMATS.get(item.kind)
    tensors = kind().lifetimes((item.path / kind.file).read_bytes())
    return evidence.Activations(_packing.planned(tensors), len(tensors))
