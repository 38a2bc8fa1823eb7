"""A step that does next to nothing, so that what a build of many takes is the engine's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec.artifact import Determinism, Step, StepIO


@dataclass(frozen=True, slots=True)
class Trivial(Step):
    """Writes its number; whatever it takes counts as the engine's."""

    number: int

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "trivial"
    needs: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write it."""
        (io.output / "number.txt").write_text(f"{self.number}\n", encoding="utf-8")
