"""One half of a model that is cut in two where the table of cuts says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgebuild.formats import _onnx_cuts
from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.evidence import Cuts
from edgebuild.spec.registry import FORMATS


@dataclass(frozen=True, slots=True)
class TakeHalf(Step):
    """Inputs: `model`, an ONNX file, and its `cuts`."""

    half: Literal["edge", "server"]

    consumes: ClassVar[tuple[str, ...]] = ("onnx",)
    produces: ClassVar[str | None] = "onnx"
    needs: ClassVar[tuple[str, ...]] = ("model", "cuts")
    tools: ClassVar[tuple[str, ...]] = ("onnx",)

    def run(self, io: StepIO) -> None:
        """Write the file."""
        name = FORMATS.get("onnx").file
        cuts = documents.read(Cuts, io.path("cuts") / evidence.FILE)
        whole = (io.path("model") / name).read_bytes()
        (io.output / name).write_bytes(_onnx_cuts.half(whole, cuts.chosen, self.half))
