"""What a file format can do: convert, open and quantize, plan the memory of its files, and say what they do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from edgebuild.spec.constant import Constant
from edgebuild.spec.errors import StepError
from edgebuild.spec.layout import NCHW, Layouts
from edgebuild.spec.lifetime import Lifetime
from edgebuild.spec.quantization import Layer, Missing, Quantization, Range, Support
from edgebuild.spec.signature import Signature
from edgebuild.spec.work import Work

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    Array = np.ndarray[Any, Any]
    Sample = tuple[Array, ...]


class Format(Protocol):
    """A runtime's file format; one file in `formats/`. A format that cannot quantize leaves out what quantizing needs.

    file: the name of a model file, whose suffix no other format has
    loader: the module that opens its files where they travel, on a device and in a bundle: a file of its own, called
        `load_<format>.py`, by the rule of `travels/` (Python 3.9, numpy and the runtime, nothing of ours)
    runtime: the distribution that executes its files; runtime_needs: what that one needs beside it
    requires: distributions that a build needs for it; tools: those whose versions are part of keys
    preloads: modules that workers are forked with, because they take long to import and start no thread
    layouts: those that its inputs and outputs may have
    tolerance: how far one file's answers may lie apart on two processors, as a share of an output's range
    real: what its runtime's kernels compute of quantized models; unreal: what they do not, why, and what to do instead
    """

    __slots__ = ()

    file: ClassVar[str]
    loader: ClassVar[str]
    runtime: ClassVar[str]
    requires: ClassVar[tuple[str, ...]]
    tools: ClassVar[tuple[str, ...]]
    preloads: ClassVar[tuple[str, ...]] = ()
    runtime_needs: ClassVar[tuple[str, ...]] = ()
    layouts: ClassVar[tuple[str, ...]] = (NCHW,)
    tolerance: ClassVar[float] = 0.01
    real: ClassVar[tuple[Support, ...]] = ()
    unreal: ClassVar[tuple[Missing, ...]] = ()

    @abstractmethod
    def convert(self, module: nn.Module, example: tuple[Tensor, ...], layout: str | None = None) -> bytes:
        """A float32 file with the static shapes of `example`; None leaves the layout of pictures to the format."""

    @abstractmethod
    def run(self, model: bytes, samples: Sequence[Sample]) -> Iterator[tuple[Array, ...]]:
        """The outputs of any file for one sample after another, in the runtime as it is used, as in PyTorch."""

    @abstractmethod
    def operators(self, model: bytes) -> tuple[str, ...]:
        """The kind of every operator of any file, in the file's order."""

    @abstractmethod
    def work(self, model: bytes) -> tuple[Work, ...]:
        """What each operator does, as it is executed: files with equal ones err alike where time is predicted."""

    @abstractmethod
    def lifetimes(self, model: bytes) -> tuple[Lifetime, ...]:
        """Bytes of each activation, and from which operator to which it is needed; weights are not among them."""

    @abstractmethod
    def constants(self, model: bytes) -> list[Constant]:
        """Where the weights are in the file; those that it does not store as plain elements are left out."""

    def whole(self, file: Path) -> tuple[bytes | None, tuple[str, ...]]:
        """The content of a file that does not run as it lies there alone, such as one whose weights lie in others
        beside it; None for one that does. And a line for each thing that is another than in the file.

        UsageError where that cannot be made, such as where weights are missing.
        """
        return None, ()

    def named(self, model: bytes, signature: Signature) -> bytes:
        """The same file with the declared names of inputs and outputs; as it is where a format has no such names.

        Their order is always the declared one.
        """
        return model

    def layouts_of(self, model: bytes) -> tuple[Layouts, Layouts]:
        """The layouts of a file's inputs and outputs, by position; empty where all are as in PyTorch."""
        return (), ()

    def layers(self, model: bytes) -> tuple[Layer, ...]:
        """The operators of a float file that have weights, in the file's order."""
        raise _unquantized(self)

    def activations(self, model: bytes, samples: Sequence[Sample]) -> Iterator[dict[str, Array]]:
        """Every float value that a float file computes from one sample after another, by the names of `observe`."""
        raise _unquantized(self)

    def observe(self, model: bytes, how: Quantization, samples: Sequence[Sample]) -> dict[str, Range]:
        """The ranges of all activations of a float file; a sample is one tuple of inputs in the file's shapes."""
        raise _unquantized(self)

    def quantize(self, model: bytes, how: Quantization, samples: Sequence[Sample] = ()) -> bytes:
        """The quantized file; a static technique takes the ranges that `how` does not give from `samples`."""
        raise _unquantized(self)


def _unquantized(kind: Format) -> StepError:
    """The error of a format that says in `real` that it quantizes, and does not."""
    return StepError(f"{type(kind).__name__} cannot quantize its files")
