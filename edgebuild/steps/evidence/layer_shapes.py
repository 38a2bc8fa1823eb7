"""The layers of a torch model, or of what may stand in it, by shape alone: their time is counted for any weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.technique import Shapes


@dataclass(frozen=True, slots=True)
class LayerShapes(Step):
    """A model that was trained anew has the same shapes, so nothing is counted anew for it.

    shapes: what says which layers these are; None: those of the model
    """

    shapes: Shapes | None = None

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`; UsageError for a model that cannot be traced."""
        shapes = _own(io.path("model")) if self.shapes is None else {*self.shapes.of(io.path("model"))}
        documents.write(io.output / evidence.FILE, evidence.LayerShapes(tuple(sorted(shapes))))


def _own(folder: Path) -> set[evidence.LayerShape]:
    from edgebuild.nn import checkpoint
    from edgebuild.nn.prune.work import layer_work

    model = checkpoint.load(folder)
    return {one.shape for one in layer_work(model.module, model.example())}
