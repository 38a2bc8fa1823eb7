"""The layers of a torch model by shape alone: what their time is counted for, whatever the weights are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO


@dataclass(frozen=True, slots=True)
class LayerShapes(Step):
    """A model that was trained anew has the same shapes, so nothing is counted anew for it."""

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`; UsageError for a model that cannot be traced."""
        from edgebuild.nn import checkpoint
        from edgebuild.nn.prune.work import layer_work

        model = checkpoint.load(io.path("model"))
        shapes = {one.shape for one in layer_work(model.module, model.example())}
        documents.write(io.output / evidence.FILE, evidence.LayerShapes(tuple(sorted(shapes))))
