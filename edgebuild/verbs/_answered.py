"""What a model file answers in its own runtime, before there is a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.formats._adopted import attempt
from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import check
from edgebuild.spec.signature import TensorSpec
from edgebuild.spec.source import SOURCES

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array


def shapes(source: str, file: Path, inputs: tuple[TensorSpec, ...]) -> list[tuple[tuple[int, ...], str]]:
    """Shape of one example and type of each output, as zeros are answered; UsageError where they are not."""
    import numpy as np

    zeros = tuple(np.zeros((1, *spec.shape), spec.dtype) for spec in inputs)
    outputs = answers(source, file, zeros)
    for values in outputs:
        if values.shape[:1] != (1,):
            told = f"answers {list(values.shape)} to one example, which has no batch axis of 1 in front"
            raise UsageError(told, file=str(file))
    return [(tuple(values.shape[1:]), str(values.dtype)) for values in outputs]


def answers(source: str, file: Path, sample: tuple[Array, ...]) -> tuple[Array, ...]:
    """What the file answers to one example."""
    from edgebuild.steps.import_file import Reader

    reader = check(SOURCES.get(source), {"file": file.name}, file=str(file))
    assert isinstance(reader, Reader)
    try:
        return attempt("cannot be run", lambda: next(iter(reader.answers(file, [sample]))))
    except UsageError as error:
        raise UsageError(error.reason, file=str(file)) from None
