"""A trained model that comes as a Keras file and becomes a PyTorch module, by way of ONNX; a file where it cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.formats import _keras_file, _keras_onnx, _onnx_adopt
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
class KerasFile:
    """Reads .keras and .h5 in Keras itself, on its torch backend; nothing in them is run."""

    kind: ClassVar[str] = "onnx"
    runtime: ClassVar[str] = "keras"
    tools: ClassVar[tuple[str, ...]] = ("h5py", "torch")

    def adopt(self, path: Path, inputs: Sequence[TensorSpec]) -> bytes:
        """The model as an ONNX file; UsageError with the reason where it cannot be used."""
        return _keras_onnx.adopt(path, inputs)

    def integer(self, model: bytes) -> str | None:
        """The first operator that computes in integers; None for a float file."""
        return _onnx_adopt.integer(model)

    def answers(self, path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
        """What the model answers to one sample after another."""
        return _keras_file.answers(path, samples)


@dataclass(frozen=True, slots=True)
class Keras(Source):
    """Its inputs are declared as Keras takes them, channels last, and so they stay."""

    file: Annotated[Inside, Field(description=".keras or .h5 file in the model's folder")]

    kind: ClassVar[str] = "torch"
    trainable: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("keras", "h5py", "torch", "safetensors", "onnx", "onnxscript", "onnxruntime")
    extra: ClassVar[str | None] = "keras,torch,onnx"
    endings: ClassVar[tuple[str, ...]] = (".keras", ".h5", ".hdf5")

    @staticmethod
    def look(path: Path) -> Look:
        """What the model is; it is opened in Keras, and not run."""
        return _keras_onnx.look(path)

    def float(self, model: ModelSpec) -> Making:
        """Write it as ONNX, lift that, and prove it against Keras."""
        return _lifting.making(KerasFile(), model, self.file)

    def as_file(self, why: str) -> Source:
        """The ONNX file made of it."""
        return _lifting.AsOnnx(KerasFile(), self.file, (), why)

    def reference(self, split: Held) -> Making:
        """PyTorch's own answers: that these are Keras' was proved when it was lifted."""
        return Making(TorchOutputs(split))

    def original(self, split: Held) -> Making:
        """The answers of the model as it came, in Keras."""
        return _files.reference(KerasFile(), self.file, split)

    def teacher(self, model: ModelSpec, teacher: Teacher, origin: PluginSpec) -> Making:
        """The answers of the model in Keras."""
        return _files.teacher(KerasFile(), model, teacher, origin, self.file)

    def reader(self) -> Reader:
        """What reads the file where there is no project."""
        return KerasFile()
