"""What steps on model files share: the file that comes in, examples as the file takes them, the file that goes out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgebuild.spec import calibration, dataset, documents, notes, spread, tasks
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.calibration import Calibration
from edgebuild.spec.errors import UsageError
from edgebuild.spec.format import Format
from edgebuild.spec.quantization import Quantization, Range
from edgebuild.spec.registry import FORMATS
from edgebuild.steps import import_file

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Split

    Sample = tuple[Array, ...]


_FEW = 32  # samples whose ranges are held against those of as many random ones
_SAME = 0.2  # of its width, by which a range may differ from another of as many samples: ends are extremes


def read(io: StepIO) -> tuple[Any, bytes]:
    """The format of the input `model`, and its float file; UsageError where it came with integers in it."""
    target_format = FORMATS.get(io.kind("model"))()
    if (operator := import_file.integer(io.path("model"))) is not None:
        message = f"the file computes in integers already ({operator}): it can be coded, judged and bundled as it is"
        raise UsageError(message, hint="--recipe lossless codes it; to quantize it here, give the float file")
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
        advice = "share its one scale: let the file give float32" if integers else "keep scales of their own in float"
        notes.write(io.output, [*notes.read(io.output), f"output {place} holds {kind}, which {advice}"])
    return how if integers else replace(how, apart=tuple(sorted(kinds)))


def quantize(io: StepIO, how: Quantization, samples: Sequence[Sample] = ()) -> None:
    """Write the quantized file, and note what calibration could not say, or that nothing in the file was quantized."""
    target_format, model = read(io)
    if samples:
        how = calibrated(io, target_format, model, how, samples)
    quantized = target_format.quantize(model, how)
    if _anatomy(target_format, quantized) == _anatomy(target_format, model):
        untouched = "it has no operator of a kind that is quantized so: it computes as before"
        notes.write(io.output, [*notes.read(io.output), untouched])
    (io.output / target_format.file).write_bytes(quantized)


def _anatomy(target_format: Format, model: bytes) -> tuple[list[str], list[tuple[int, int]]]:
    """Kinds of operators, and counts and widths of weights: whatever is quantized changes one of these."""
    weights = target_format.constants(model)
    return sorted(target_format.operators(model)), sorted((each.count, each.width) for each in weights)


def calibrated(
    io: StepIO, target_format: Format, model: bytes, how: Quantization, seen: Sequence[Sample]
) -> Quantization:
    """With the ranges of what the float file computes from `seen`; what they came from, and what they could not say,
    is kept in the artifact.
    """
    ranges = target_format.observe(model, how, seen)
    free = replace(how, ranges={}, calibrator="minmax")
    few = seen[:_FEW]
    try:
        of_some, *of_noise = (
            target_format.observe(model, free, each) for each in (few, _noise(few, 0), _noise(few, 1))
        )
    except UsageError:  # the file computes NaN from noise: its ranges would be none of these
        of_some, of_noise = ranges, [{}, {}]
    differ, by_chance = _differing(of_some, of_noise[0]), _differing(of_noise[1], of_noise[0])
    measured = Calibration(len(seen), _digest(seen), len(of_some), differ, by_chance)
    documents.write(io.output / calibration.FILE, measured)
    notes.write(io.output, [*notes.read(io.output), *spread.remarks(ranges)])
    return how.with_ranges(ranges)


def _differing(ranges: Mapping[str, Range], others: Mapping[str, Range]) -> int:
    """How many ranges are not those of the same name among the others."""
    return sum(name not in others or _apart(ends, others[name]) for name, ends in ranges.items())


def _apart(ends: Range, other: Range) -> bool:
    """Whether two ranges are not the same but for a share of their width."""
    return any(abs(mine - theirs) > _SAME * (ends[1] - ends[0]) for mine, theirs in zip(ends, other, strict=True))


def _noise(seen: Sequence[Sample], seed: int) -> list[Sample]:
    """As many samples of the same shapes and types: normal values, and whole numbers that occur among these."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return [
        tuple(
            rng.normal(size=x.shape).astype(x.dtype)
            if x.dtype.kind == "f"
            else rng.choice(np.concatenate([one[place].ravel() for one in seen]), x.shape)
            for place, x in enumerate(sample)
        )
        for sample in seen
    ]


def _digest(seen: Sequence[Sample]) -> str:
    """SHA-256 over all values in their order."""
    digest = hashlib.sha256()
    for sample in seen:
        for values in sample:
            digest.update(f"{values.dtype} {[*values.shape]}".encode())
            digest.update(values.tobytes())
    return digest.hexdigest()


def samples(io: StepIO, count: int, seed: int) -> list[Sample]:
    """`count` training examples, one tuple of inputs [1, …] each."""
    return _singly(dataset.calibration(io.path("data"), count, seed))


def unlearnt(io: StepIO, count: int, seed: int) -> list[Sample]:
    """`count` validation examples, one tuple of inputs [1, …] each: what a choice is made on."""
    return _singly(dataset.validation(io.path("data"), count, seed))


def _singly(examples: Split) -> list[Sample]:
    return [tuple(x[i : i + 1] for x in examples.inputs) for i in range(len(examples))]
