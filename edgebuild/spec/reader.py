"""What reads a model that comes as a file: makes a file of a format of it, and has it answer in its own runtime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.spec.signature import TensorSpec

    Sample = tuple[np.ndarray[Any, Any], ...]


class NoGraphError(UsageError):
    """A file that is of use as it is, and has no ONNX graph that a module could be made of."""


@runtime_checkable
class Reader(Protocol):
    """A frozen dataclass, since it is an option of steps.

    kind: the format of the files that it makes
    runtime: the distribution that the file as it came runs on
    tools: distributions that decide what it makes and what is answered, beside those of the format and the runtime
    """

    kind: ClassVar[str]
    runtime: ClassVar[str]
    tools: ClassVar[tuple[str, ...]] = ()

    def adopt(self, path: Path, inputs: Sequence[TensorSpec]) -> bytes:
        """The format's file with batch 1 and the declared inputs; UsageError with the reason where it cannot be used.

        NoGraphError where it can, but not as this format's. Errors need not name the file.
        """

    def integer(self, model: bytes) -> str | None:
        """Of an adopted file, an operator or type that says that it computes in integers; None for a float file."""

    def answers(self, path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
        """What the file as it came answers to one sample after another, in its own runtime."""
