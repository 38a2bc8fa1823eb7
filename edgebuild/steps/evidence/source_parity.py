"""How far the float file is from the model that came, in the runtime that it came from, before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, drawing, evidence
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.steps.evidence._outputs import named, origin, read
from edgebuild.steps.evidence.parity import compare


@dataclass(frozen=True, slots=True)
class SourceParity(Step):
    """Inputs: `original`, what the model that came answers, and `baseline`, what the float file does.

    What a layout or an order of outputs that was mistaken on import would be told by.
    """

    outputs: tuple[str, ...] = (evidence.ONLY,)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("original", "baseline")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        original, file = (named(self.outputs, read(io.path(role))) for role in ("original", "baseline"))
        compared = {}
        for name, values in file.items():
            goal = original[name]
            compared[name] = compare(values, goal[drawing.chosen(len(goal), len(values))])
        told = evidence.SourceParity(origin(io.path("baseline")), origin(io.path("original")).runtimes, compared)
        documents.write(io.output / evidence.FILE, told)
