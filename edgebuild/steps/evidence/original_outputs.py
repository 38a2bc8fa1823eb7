"""What a file of the user's answers as it came: the reference that its import and every later step is held against."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.formats._adopted import FIXED, attempt
from edgebuild.spec import dataset, documents, evidence, loop, notes
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.reader import Reader
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Loop

if TYPE_CHECKING:
    import numpy as np

    Sample = tuple[np.ndarray[Any, Any], ...]

_SAME = 1e-4  # of the largest value: what threads that add up in another order come to
_UNSTEADY = (
    "the first example, asked once more at the end, is answered {}: the file draws random numbers, is in training mode "
    "(Dropout, BatchNormalization), or keeps a state from one example to the next. What is compared holds for these "
    "examples in this order alone; export it in evaluation mode, with its states as inputs and outputs"
)
_VALUES = (
    "has it values that the model does not take, such as an index beyond what it picks from? Of noise, [data] numbers "
    "is what whole numbers stay below; best are real inputs (init --data)"
)


@dataclass(frozen=True, slots=True)
class OriginalOutputs(Step):
    """`outputs.npz` as a device's runner would write it, on the examples of a `split`; `name` is the file in `file`.

    `runtime` is the distribution that it runs on, where that is not the one of the reader's format. `loops`: go through
    streams in order, with the states that the file itself has left. Without them the first example is asked once more
    at the end, and a note says so where that is answered otherwise.
    """

    reader: Reader
    name: str
    split: dataset.SplitName = "test"
    runtime: str | None = None
    loops: tuple[Loop, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "outputs"
    needs: ClassVar[tuple[str, ...]] = ("file", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Run every held-out example, one at a time."""
        import numpy as np

        held_out = dataset.read(io.path("data"), self.split)
        file, streams = io.path("file") / self.name, dataset.streams(io.path("data"), self.split)
        answered = (
            loop.through(lambda samples: self.reader.answers(file, samples), held_out.singly(), streams, self.loops)
            if self.loops
            else self.reader.answers(file, chain(held_out.singly(), islice(held_out.singly(), 1)))
        )
        try:
            answers = attempt(f"the model refuses an example of the {self.split} split", lambda: list(answered))
        except UsageError as error:
            raise UsageError(error.reason, file=error.file, key=error.key, hint=error.hint or _VALUES) from None
        again = None if self.loops else answers.pop()
        for other in answers[1:]:
            shapes = [[list(values.shape) for values in each] for each in (answers[0], other)]
            if shapes[0] != shapes[1]:
                reason = f"the model answers {shapes[0]} to one example and {shapes[1]} to another"
                raise UsageError(f"{reason}: how much an output holds depends on values", hint=FIXED)
        notes.write(io.output, [] if again is None else _unsteady(answers[0], again))
        stacked = {str(k): np.concatenate(values) for k, values in enumerate(zip(*answers, strict=True))}
        np.savez(io.output / "outputs.npz", **stacked)  # type: ignore[arg-type]
        runtime = self.runtime or FORMATS.get(self.reader.kind).runtime
        origin = evidence.Origin("host", "the runtime that it came from", {runtime: _version(runtime)})
        documents.write(io.output / evidence.ORIGIN, origin)


def _unsteady(first: Sample, again: Sample) -> list[str]:
    """A line where an example is answered otherwise the second time."""
    import numpy as np

    largest = 0.0
    for before, after in zip(first, again, strict=True):
        if before.shape != after.shape:
            return [_UNSTEADY.format("in another shape")]
        values, others = before.astype(np.float64), after.astype(np.float64)
        apart = np.nan_to_num(np.abs(values - others)).max(initial=0.0)
        largest = max(largest, apart / max(np.nan_to_num(np.abs(values)).max(initial=0.0), np.finfo(np.float32).tiny))
    return [_UNSTEADY.format(f"off by {largest:.1e} of its largest value")] if largest > _SAME else []


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
