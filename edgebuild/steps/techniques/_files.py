"""What steps on model files share: the file that comes in, examples as the file takes them, the file that goes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgebuild.spec import dataset, notes, spread, tasks
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.quantization import Quantization
from edgebuild.spec.registry import FORMATS
from edgebuild.steps import import_file

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array, Split

    Sample = tuple[Array, ...]


def read(io: StepIO) -> tuple[Any, bytes]:
    """The format of the input `model`, and its float file; UsageError where it came with integers in it."""
    target_format = FORMATS.get(io.kind("model"))()
    if (operator := import_file.integer(io.path("model"))) is not None:
        told = f"the file computes in integers already ({operator}): it can be coded, judged and bundled as it is"
        raise UsageError(told, hint="give the float file to quantize it here, or take this step out of the recipe")
    return target_format, (io.path("model") / target_format.file).read_bytes()


def apart(io: StepIO, how: Quantization) -> Quantization:
    """`how`, with the outputs that hold values of several kinds kept from sharing one scale; a note says which.

    Where the file is to give integers, an output has one scale, whatever it holds.
    """
    kinds = {
        place: kind
        for head in dataset.heads(io.path("data"))
        if (kind := tasks.of(head).mixed()) is not None
        for place in head.outputs
    }
    integers = how.borders != "float32"
    for place, kind in kinds.items():
        told = "share its one scale: let the file give float32" if integers else "keep scales of their own in float"
        notes.write(io.output, [*notes.read(io.output), f"output {place} holds {kind}, which {told}"])
    return how if integers else replace(how, apart=tuple(sorted(kinds)))


def quantize(io: StepIO, how: Quantization, samples: Sequence[Sample] = ()) -> None:
    """Write the quantized file, and note what calibration could not say."""
    target_format, model = read(io)
    if samples:
        how = how.with_ranges(target_format.observe(model, how, samples))
        notes.write(io.output, [*notes.read(io.output), *spread.remarks(how.ranges)])
    (io.output / target_format.file).write_bytes(target_format.quantize(model, how))


def samples(io: StepIO, count: int, seed: int) -> list[Sample]:
    """`count` training examples, one tuple of inputs [1, …] each."""
    return _singly(dataset.calibration(io.path("data"), count, seed))


def unlearnt(io: StepIO, count: int, seed: int) -> list[Sample]:
    """`count` validation examples, one tuple of inputs [1, …] each: what a choice is made on."""
    return _singly(dataset.validation(io.path("data"), count, seed))


def _singly(examples: Split) -> list[Sample]:
    return [tuple(x[i : i + 1] for x in examples.inputs) for i in range(len(examples))]
