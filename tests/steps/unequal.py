"""A step that fails, or ends, in the process that it starts, or in its own alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.steps import _stages


@dataclass(frozen=True, slots=True)
class Unequal(Step):
    """`how`: "told" in an error for the user, "raised", "killed", or "late", when all had come to the training; "first"
    fails in the step's own process.
    """

    how: str

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ()

    def run(self, io: StepIO) -> None:
        """Fail."""
        other = io.stage is not None
        if other and self.how == "told":
            raise UsageError("has no place here", key="there")
        if other and self.how == "raised":
            raise ZeroDivisionError("by chance")
        if other and self.how == "killed":
            os.kill(os.getpid(), 9)
        broken = RuntimeError("Connection closed by peer")
        with _stages.together(io, self, 2):
            if self.how == "first":
                raise broken if other else UsageError("has no place here", key="here")
            raise MemoryError if other else broken
