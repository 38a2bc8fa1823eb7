"""One file of the two halves of a model that was cut in two: what a device measures of it, it would of both in turn."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgebuild.formats import _onnx_cuts
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.registry import FORMATS

if TYPE_CHECKING:
    from edgebuild.travels.model_values import AnyModel

_EXAMPLES = 64


@dataclass(frozen=True, slots=True)
class JoinHalves(Step):
    """Inputs: `edge` and `server`, and the data: held-out examples show that both in turn, on so many `threads`, answer
    as the one file does. `whole`, where it is connected, is the file that was cut, and is taken itself if these are its
    halves: then what was measured of it is known.
    """

    threads: int = 1

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "onnx"
    needs: ClassVar[tuple[str, ...]] = ("edge", "server", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy", "onnx", "onnxruntime")

    def run(self, io: StepIO) -> None:
        """Write the file; UsageError where the halves answer otherwise than it does."""
        name = FORMATS.get("onnx").file
        edge, server = ((io.path(half) / name).read_bytes() for half in ("edge", "server"))
        if "whole" in io.inputs and _halves(io, name) == (edge, server):
            shutil.copytree(io.path("whole"), io.output, copy_function=shutil.copyfile, dirs_exist_ok=True)
        else:
            (io.output / name).write_bytes(_onnx_cuts.rejoined(edge, server))
        self._refuse_unequal(io, edge, server, (io.output / name).read_bytes())

    def _refuse_unequal(self, io: StepIO, edge: bytes, server: bytes, whole: bytes) -> None:
        import numpy as np

        first, second, one = (self._opened(content) for content in (edge, server, whole))
        test = dataset.read(io.path("data"), "test")
        for row in range(min(_EXAMPLES, len(test))):
            example = [values[row : row + 1] for values in test.inputs]
            pairs = zip(second.answer(first.answer(example)), one.answer(example), strict=True)
            if not all(np.array_equal(ours, theirs) for ours, theirs in pairs):
                reason = f"on this machine the halves answer otherwise than the model that they are of: example {row}"
                raise UsageError(reason, hint="what is measured of the one says nothing of the other: build it here")

    def _opened(self, content: bytes) -> AnyModel:
        from edgebuild.travels.load_onnx import Model

        return Model(content, {"threads": self.threads})


def _halves(io: StepIO, name: str) -> tuple[bytes, bytes] | None:
    """The halves of the file that was cut, at the place where they were cut; None where that is none of its places."""
    server = (io.path("server") / name).read_bytes()
    try:
        return _onnx_cuts.halves((io.path("whole") / name).read_bytes(), _onnx_cuts.crossing(server))
    except ValueError:
        return None
