"""Takes trained weights from the user's file instead of training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.nn import checkpoint, state_dict
from edgebuild.nn.model_code import ModelCode
from edgebuild.spec import notes
from edgebuild.spec.artifact import EXCUSED, Determinism, Step, StepIO
from edgebuild.spec.signature import Signature


@dataclass(frozen=True, slots=True)
class ImportWeights(Step):
    """The file must hold the tensors of the freshly built model; what is read runs no code (see `nn.state_dict`)."""

    builder: str
    signature: Signature
    augment: str | None = None
    origin: str = field(default="model", metadata=EXCUSED)
    shown: str = field(default="weights", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("code", "weights")
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Build, fill, save, and note what was done to make the tensors fit."""
        code = ModelCode(io.path("code"), self.origin)
        module = code.build(self.builder, self.signature.inputs, self.signature.outputs)
        (weights,) = io.path("weights").iterdir()
        tensors, found = state_dict.read(weights, self.shown)
        done = [*found, *state_dict.fit(module, tensors, self.shown)]
        taken, given = self.signature.inputs, self.signature.outputs
        built = checkpoint.Checkpoint(module, code, self.builder, taken, self.augment, outputs=given)
        checkpoint.save(built, io.output)
        notes.write(io.output, [f"{self.shown}: {'; '.join(done)}"] if done else [])
