"""Takes trained weights from the user's file instead of training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import notes
from edgebuild.spec.artifact import EXCUSED, Determinism, Step, StepIO
from edgebuild.spec.signature import Signature

if TYPE_CHECKING:
    from edgebuild.nn.network import Network


@dataclass(frozen=True, slots=True)
class ImportWeights(Step):
    """The file must hold the tensors of the freshly built model; what is read runs no code (see `nn.state_dict`)."""

    builder: str | Network
    signature: Signature
    augment: str | None = None
    origin: str = field(default="model", metadata=EXCUSED)
    shown: str = field(default="weights", metadata=EXCUSED)
    fit: str | None = None

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("code", "weights")
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    deterministic: ClassVar[Determinism] = "everywhere"

    def uses(self) -> tuple[str, ...]:
        """Without the model's own code where it has no part in this."""
        coded = isinstance(self.builder, str) or self.augment or self.fit
        return self.needs if coded else tuple(role for role in self.needs if role != "code")

    def run(self, io: StepIO) -> None:
        """Build, fill, save, and note what was done to make the tensors fit."""
        from edgebuild.nn import checkpoint, state_dict
        from edgebuild.nn.model_code import ModelCode

        code = ModelCode(io.path("code") if "code" in io.inputs else None, self.origin)
        module = code.build(self.builder, self.signature.inputs, self.signature.outputs)
        (weights,) = io.path("weights").iterdir()
        tensors, remarks = state_dict.read(weights, self.shown)
        done = [*remarks, *state_dict.fit(module, tensors, self.shown)]
        inputs, outputs = self.signature.inputs, self.signature.outputs
        built = checkpoint.Checkpoint(module, code, self.builder, inputs, self.augment, outputs=outputs, fit=self.fit)
        checkpoint.save(built, io.output)
        notes.write(io.output, [f"{self.shown}: {'; '.join(done)}"] if done else [])
