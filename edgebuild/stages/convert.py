"""Exports a torch model into a runtime's file format, in float32."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import ClassVar

from edgebuild.nn import checkpoint
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.errors import StepError
from edgebuild.spec.registry import FORMATS


@dataclass(frozen=True, slots=True)
class Convert:
    """The format's own exporter; static shapes, batch 1."""

    format: str

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write the model file."""
        target_format = FORMATS.get(self.format)()
        model = checkpoint.load(io.path("model"))
        try:
            converted = target_format.convert(model.module, model.example())
        except Exception as error:  # exporters raise whatever they like, over many lines
            traceback.print_exc()
            raise StepError(f"the model cannot be converted to {self.format}: {_cause(error)}") from None
        (io.output / target_format.file).write_bytes(converted)


def _cause(error: BaseException) -> str:
    """The first line of what went wrong first; the whole is in the step's log."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text[:200]}"
