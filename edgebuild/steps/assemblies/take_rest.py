"""The rest of a network behind its exit: what goes on from the features where the exit is not sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.nn import checkpoint
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.restructure import exits
from edgebuild.spec.artifact import Step, StepIO


@dataclass(frozen=True, slots=True)
class TakeRest(Step):
    """Input: the `model` that `AddExit` made."""

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors")

    def run(self, io: StepIO) -> None:
        """Save it."""
        first = checkpoint.load(io.path("model"))
        assert first.code.folder is not None
        *answers, features = first.outputs
        module = exits.build(first.code.folder, "rest").eval()
        rest = Checkpoint(module, first.code, "build_rest", (features,), outputs=tuple(answers))
        checkpoint.save(rest, io.output)
