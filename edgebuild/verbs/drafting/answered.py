"""What a model file answers in its own runtime, before there is a project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.engine import apart
from edgebuild.formats._adopted import FIXED, attempt
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec
from edgebuild.verbs._quiet import runtimes_silent
from edgebuild.verbs.preloading import preload_reader

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.engine.apart import Patience
    from edgebuild.spec.preprocess import ImageInput
    from edgebuild.spec.reader import Reader
    from edgebuild.spec.rows import Array

_DRAWN, _SPREAD = 32, 3.0  # examples of noise, and its deviation


def shapes(
    reader: Reader, file: Path, inputs: tuple[TensorSpec, ...], patience: Patience | None = None
) -> list[tuple[tuple[int, ...], str]]:
    """Shape of one example and type of each output, as zeros are answered; UsageError where they are not."""
    import numpy as np

    zeros = tuple(np.zeros((1, *spec.shape), spec.dtype) for spec in inputs)
    outputs = answers(reader, file, zeros, patience)
    for values in outputs:
        if 0 in values.shape:
            reason = f"answers {list(values.shape)} to zeros: how much an output holds depends on values"
            raise UsageError(reason, file=str(file), hint=FIXED)
        if values.shape[:1] != (1,):
            reason = f"answers {list(values.shape)} to one example, which has no batch axis of 1 in front"
            raise UsageError(reason, file=str(file))
    return [(tuple(values.shape[1:]), str(values.dtype)) for values in outputs]


def right(
    reader: Reader, file: Path, how: ImageInput, pictures: Sequence[tuple[Path, int]], patience: Patience | None = None
) -> int:
    """How many pictures are answered with the number of their class, prepared like this; UsageError for no picture."""
    answered = of_pictures(reader, file, how, [path for path, _ in pictures], patience)
    return sum(_class(outputs[0]) == number for outputs, (_, number) in zip(answered, pictures, strict=True))


def _class(values: Array) -> int:
    """The class that is answered, or has the highest score."""
    whole = values.dtype.kind in "iu" and values.size == 1
    return int(values.reshape(())) if whole else int(values.argmax())


def of_pictures(
    reader: Reader, file: Path, how: ImageInput, pictures: Sequence[Path], patience: Patience | None = None
) -> list[tuple[Array, ...]]:
    """What the file answers to each picture, prepared like this; UsageError for what is no picture."""
    from edgebuild.travels import prepare_image

    wrong = "is no picture that can be read"
    read = (attempt(f"{path} {wrong}", partial(prepare_image.read_picture, path)) for path in pictures)
    samples = [(prepare_image.prepare(pixels, asdict(how)),) for pixels in read]
    return _apart(reader, file, samples, patience)


def shares(
    reader: Reader, file: Path, inputs: tuple[TensorSpec, ...], place: int, patience: Patience | None = None
) -> bool:
    """Whether every value of an output lies in 0 to 1 as noise is answered, which logits of that many do not."""
    import numpy as np

    drawn = np.random.default_rng(0)
    samples = [tuple(_noise(spec, drawn) for spec in inputs) for _ in range(_DRAWN)]
    answered = [outputs[place] for outputs in _apart(reader, file, samples, patience)]
    return all(not values.size or (values.min() >= 0 and values.max() <= 1) for values in answered)


def _noise(spec: TensorSpec, drawn: np.random.Generator) -> Array:
    """One example: numbers far from 0, or zeros and ones where they are whole."""
    shape = (1, *spec.shape)
    values = drawn.normal(0, _SPREAD, shape) if spec.dtype.startswith("float") else drawn.integers(0, 2, shape)
    return values.astype(spec.dtype)


def answers(
    reader: Reader, file: Path, sample: tuple[Array, ...], patience: Patience | None = None
) -> tuple[Array, ...]:
    """What the file answers to one example."""
    try:
        return _apart(reader, file, [sample], patience)[0]
    except UsageError as error:
        raise UsageError(error.reason, file=str(file)) from None


def _apart(
    reader: Reader, file: Path, samples: Sequence[tuple[Array, ...]], patience: Patience | None
) -> list[tuple[Array, ...]]:
    """What the file answers to each example, opened once, in a process that it may end."""
    preload_reader(reader.kind)
    return apart.call(partial(_answers, reader, file, samples), str(file), patience)


def _answers(reader: Reader, file: Path, samples: Sequence[tuple[Array, ...]]) -> list[tuple[Array, ...]]:
    with runtimes_silent():
        return attempt("cannot be run", lambda: list(reader.answers(file, samples)))
