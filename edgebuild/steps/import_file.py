"""Takes a trained model that comes as a file: checked, with the declared shapes, ready for the format's steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec import notes
from edgebuild.spec.artifact import EXCUSED, Step, StepIO
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.reader import Reader
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Signature

if TYPE_CHECKING:
    import numpy as np

    Sample = tuple[np.ndarray[Any, Any], ...]

DESCRIPTION = "imported.json"


@dataclass(frozen=True, slots=True)
class ImportFile(Step):
    """`imported.json` says whether the file computes in integers already, and so cannot be quantized.

    `why` is told to whoever reads the report, where the model was to become something else than a file.
    """

    reader: Reader
    name: str
    signature: Signature
    shown: str = field(default="model", metadata=EXCUSED)
    why: str = ""

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("file",)
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Check, fix shapes, try on zeros, keep."""
        try:
            original = io.path("file") / self.name
            model = self.reader.adopt(original, self.signature.inputs)
            self._try("as it came", lambda zeros: self.reader.answers(original, [zeros]))
            self._try("with the declared shapes", lambda zeros: FORMATS.get(self.reader.kind)().run(model, [zeros]))
        except UsageError as error:
            raise UsageError(error.reason, file=self.shown, hint=error.hint) from None
        (io.output / FORMATS.get(self.reader.kind).file).write_bytes(model)
        described = {"integer": self.reader.integer(model)}
        (io.output / DESCRIPTION).write_text(json.dumps(described, sort_keys=True) + "\n")
        notes.write(io.output, [f"{self.shown}: {self.why}: taken as a file, not as a module"] if self.why else [])

    def _try(self, how: str, run: Callable[[Sample], Iterator[Sample]]) -> None:
        """UsageError unless one example of zeros is answered with the declared outputs."""
        import numpy as np

        zeros = tuple(np.zeros((1, *spec.shape), spec.dtype) for spec in self.signature.inputs)
        try:
            (answers,) = run(zeros)
        except Exception as error:  # runtimes raise whatever they like
            if exhausted(error):
                raise
            raise UsageError(f"cannot be run {how}: {str(error).strip().partition(chr(10))[0]}") from None
        shapes, declared = (
            [list(answer.shape) for answer in answers],
            [[1, *spec.shape] for spec in self.signature.outputs],
        )
        if shapes != declared:
            raise UsageError(f"answers {_shown(shapes)} to one example, and declared are {_shown(declared)}")


def _shown(shapes: list[list[int]]) -> str:
    return ", ".join(map(str, shapes))


def integer(folder: Path) -> str | None:
    """Of an artifact, what says that its file came with integers in it; None for float files and for our own."""
    try:
        described = json.loads((folder / DESCRIPTION).read_text())
    except FileNotFoundError:
        return None
    operator: str | None = described["integer"]
    return operator
