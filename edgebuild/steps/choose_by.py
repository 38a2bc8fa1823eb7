"""The examples that every choice is made on, in the place of those that judge: what is measured on them chooses."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, Step, StepIO

_CHOOSE, _JUDGE = "validation", "test"


@dataclass(frozen=True, slots=True)
class ChooseBy(Step):
    """Whoever takes this for the data looks at validation examples, and cannot look at others: none are there.

    Slices are named of the examples that judge, so there are none of these.
    """

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "data"
    needs: ClassVar[tuple[str, ...]] = ("data",)
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write the data set with the validation split alone, under the name of the one that judges."""
        data = io.path("data")
        for path in sorted(data.glob(f"{_CHOOSE}.*")):
            shutil.copyfile(path, io.output / path.name.replace(_CHOOSE, _JUDGE, 1))
        for file in dataset.files(data):
            dataset.keep_file(io.output, file)
        _describe(data, io.output)


def _describe(data: Path, output: Path) -> None:
    described = json.loads((data / dataset.DESCRIPTION).read_text())
    described.pop("slices", None)
    described["examples"] = {_JUDGE: described["examples"][_CHOOSE]}
    (output / dataset.DESCRIPTION).write_text(json.dumps(described) + "\n")
