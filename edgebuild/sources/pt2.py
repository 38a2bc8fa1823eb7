"""A program of torch.export (.pt2) that becomes a module of real layers again: pruned and trained like any."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.formats import _onnx_adopt
from edgebuild.nn.program import loaded
from edgebuild.nn.program import look as looking
from edgebuild.sources import _files, _lifting
from edgebuild.spec.dataset import Held
from edgebuild.spec.fields import Inside
from edgebuild.spec.look import Look
from edgebuild.spec.model import ModelSpec, PluginSpec, Teacher
from edgebuild.spec.reader import Reader
from edgebuild.spec.signature import TensorSpec
from edgebuild.spec.source import Making, Source
from edgebuild.steps.evidence.torch_outputs import TorchOutputs

if TYPE_CHECKING:
    import numpy as np

    Sample = tuple[np.ndarray[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Program:
    """Reads .pt2 in PyTorch; a file that would run code when it is loaded is refused."""

    kind: ClassVar[str] = "onnx"
    runtime: ClassVar[str] = "torch"
    tools: ClassVar[tuple[str, ...]] = ("onnxscript",)

    def adopt(self, path: Path, inputs: Sequence[TensorSpec]) -> bytes:
        """The program in ONNX, with the declared inputs; UsageError with the reason where it cannot be used."""
        with tempfile.TemporaryDirectory() as folder:
            (file := Path(folder, "program.onnx")).write_bytes(loaded.to_onnx(path))
            return _onnx_adopt.adopt(file, inputs)

    def integer(self, model: bytes) -> str | None:
        """The first operator that computes in integers; None for a float program."""
        return _onnx_adopt.integer(model)

    def answers(self, path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
        """What the program answers to one sample after another."""
        return loaded.run(path, samples)


@dataclass(frozen=True, slots=True)
class Pt2(Source):
    """An exported program has no layers, and so nothing to prune: it goes through ONNX and the lift, which is proved
    against the program itself.
    """

    file: Annotated[Inside, Field(description=".pt2 file in the model's folder")]

    kind: ClassVar[str] = "torch"
    trainable: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "onnx", "onnxscript", "onnxruntime")
    extra: ClassVar[str | None] = "torch,onnx"
    endings: ClassVar[tuple[str, ...]] = (".pt2",)

    @staticmethod
    def look(path: Path) -> Look:
        """What the program is; it is not loaded."""
        return looking.look(path)

    def float(self, model: ModelSpec) -> Making:
        """Load it, lift it, prove it."""
        return _lifting.making(Program(), model, self.file)

    def as_file(self, why: str) -> Source:
        """The ONNX file made of it."""
        return _lifting.AsOnnx(Program(), self.file, (), why)

    def reference(self, split: Held) -> Making:
        """PyTorch's own answers: that these are the program's was proved when it was lifted."""
        return Making(TorchOutputs(split))

    def original(self, split: Held) -> Making:
        """The answers of the program as it came."""
        return _files.reference(Program(), self.file, split)

    def teacher(self, model: ModelSpec, teacher: Teacher, origin: PluginSpec) -> Making:
        """The answers of the program as it came."""
        return _files.teacher(Program(), model, teacher, origin, self.file)

    def reader(self) -> Reader:
        """What reads the file where there is no project."""
        return Program()
