"""A step that tells which modules its worker began with."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from edgebuild.spec.artifact import Step, StepIO


@dataclass(frozen=True, slots=True)
class Loaded(Step):
    """Writes those of these tests."""

    def run(self, io: StepIO) -> None:
        """Write them."""
        (io.output / "modules").write_text("\n".join(name for name in sys.modules if name.endswith("_module")))
