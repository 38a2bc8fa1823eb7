"""The model as its builder makes it, without training: enough to find out whether the target can run it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec.artifact import EXCUSED, Step, StepIO
from edgebuild.spec.signature import Signature

if TYPE_CHECKING:
    from edgebuild.nn.network import Network


@dataclass(frozen=True, slots=True)
class Untrained(Step):
    """Weights are the builder's own, drawn with a fixed seed."""

    builder: str | Network
    signature: Signature
    origin: str = field(default="model", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("code",)
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors")

    def uses(self) -> tuple[str, ...]:
        """Without the model's own code where it has no part in this."""
        coded = isinstance(self.builder, str)
        return self.needs if coded else tuple(role for role in self.needs if role != "code")

    def run(self, io: StepIO) -> None:
        """Build and save."""
        from edgebuild.nn import checkpoint
        from edgebuild.nn.model_code import ModelCode
        from edgebuild.nn.train import training

        code = ModelCode(io.path("code") if "code" in io.inputs else None, self.origin)
        training.seeded(0)
        module = code.build(self.builder, self.signature.inputs, self.signature.outputs)
        inputs, outputs = self.signature.inputs, self.signature.outputs
        built = checkpoint.Checkpoint(module, code, self.builder, inputs, outputs=outputs)
        checkpoint.save(built, io.output)
