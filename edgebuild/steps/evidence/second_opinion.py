"""What the float file of another converter answers, beside which the product's own is held; or why it makes none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgebuild.spec import dataset
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.reader import Reader
from edgebuild.steps.evidence.original_outputs import OriginalOutputs

_REFUSED = "refused.json"


def refusal(folder: Path) -> str | None:
    """Of what the step has left, why there is no second file; None where there is one."""
    try:
        return str(json.loads((folder / _REFUSED).read_text()))
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class SecondOpinion(Step):
    """`reader` converts the file `name` in its own way and has that answer, as `OriginalOutputs` has the file itself.

    A converter that refuses the model stops no build: what is shipped is held against the model that came.
    """

    reader: Reader
    name: str
    split: dataset.SplitName = "test"

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "outputs"
    needs: ClassVar[tuple[str, ...]] = ("file", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Write the outputs, or why there are none."""
        try:
            OriginalOutputs(self.reader, self.name, self.split, self.reader.runtime).run(io)
        except UsageError as error:
            (io.output / _REFUSED).write_text(json.dumps(error.reason) + "\n")
