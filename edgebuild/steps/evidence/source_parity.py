"""How far the float file is from the model that came, in the runtime that it came from, before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import documents, drawing, evidence
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.steps.evidence._outputs import named, origin, read
from edgebuild.steps.evidence.parity import compare
from edgebuild.steps.evidence.second_opinion import refusal

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array


@dataclass(frozen=True, slots=True)
class SourceParity(Step):
    """Inputs: `original`, what the model that came answers, and `baseline`, what the float file does.

    What a layout or an order of outputs that was mistaken on import would be told by. `second`, where it comes along,
    is what another converter's file answers.
    """

    outputs: tuple[str, ...] = (evidence.ONLY,)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("original", "baseline")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        file = named(self.outputs, read(io.path("baseline")))
        compared = self._compared(file, io.path("original"))
        runtimes, second = origin(io.path("original")).runtimes, self._second(file, io)
        record = evidence.SourceParity(origin(io.path("baseline")), runtimes, compared, second)
        documents.write(io.output / evidence.FILE, record)

    def _compared(self, file: Mapping[str, Array], folder: Path) -> dict[str, evidence.Comparison]:
        goals = named(self.outputs, read(folder))
        return {
            name: compare(values, goals[name][drawing.chosen(len(goals[name]), len(values))])
            for name, values in file.items()
        }

    def _second(self, file: Mapping[str, Array], io: StepIO) -> evidence.SecondOpinion | None:
        if "second" not in io.inputs:
            return None
        folder = io.path("second")
        if (why := refusal(folder)) is not None:
            return evidence.SecondOpinion({}, {}, why)
        return evidence.SecondOpinion(origin(folder).runtimes, self._compared(file, folder))
