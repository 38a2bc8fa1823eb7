"""A trained model that comes as a SavedModel and becomes a PyTorch module, by way of ONNX; a file where it cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.formats import _onnx_adopt, _tensorflow, _tflite_adopt
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

_BESIDE = ("variables/*", "assets/**/*", "fingerprint.pb")


@dataclass(frozen=True, slots=True)
class TensorflowFolder:
    """Reads SavedModels in TensorFlow, in a process of its own."""

    kind: ClassVar[str] = "onnx"
    runtime: ClassVar[str] = "tensorflow"
    tools: ClassVar[tuple[str, ...]] = ("tf2onnx", "tf_keras")

    def adopt(self, path: Path, inputs: Sequence[TensorSpec]) -> bytes:
        """The model as an ONNX file; UsageError with the reason where it cannot be used."""
        return _tensorflow.adopt(path, inputs)

    def integer(self, model: bytes) -> str | None:
        """The first operator that computes in integers; None for a float file."""
        return _onnx_adopt.integer(model)

    def answers(self, path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
        """What the model answers to one sample after another."""
        return _tensorflow.answers(path, samples)


@dataclass(frozen=True, slots=True)
class TensorflowConverter:
    """Reads SavedModels as the float TFLite files that TensorFlow's own converter makes of them."""

    kind: ClassVar[str] = "tflite"
    runtime: ClassVar[str] = "tensorflow"
    tools: ClassVar[tuple[str, ...]] = ("tf_keras", "ai-edge-litert")

    def adopt(self, path: Path, inputs: Sequence[TensorSpec]) -> bytes:
        """The file as the converter leaves it; UsageError where it refuses."""
        return _tensorflow.converted(path)

    def integer(self, model: bytes) -> str | None:
        """The first type of quantized values; None for a float file."""
        return _tflite_adopt.integer(model)

    def answers(self, path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
        """What that file answers to one sample after another."""
        return _tensorflow.converted_answers(path, samples)


@dataclass(frozen=True, slots=True)
class SavedModel(Source):
    """Inputs and outputs are those of its signature, in the order of their names; layouts stay."""

    file: Annotated[Inside, Field(description="folder with saved_model.pb, in the model's folder")]

    kind: ClassVar[str] = "torch"
    trainable: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = (
        *("tensorflow", "tf_keras", "tf2onnx"),
        *("torch", "safetensors", "onnx", "onnxruntime"),
    )
    extra: ClassVar[str | None] = "tf,torch,onnx"
    mark: ClassVar[str | None] = _tensorflow.MARK

    @staticmethod
    def look(path: Path) -> Look:
        """What the model is; TensorFlow opens it, and does not run it."""
        return _tensorflow.look(path)

    def float(self, model: ModelSpec) -> Making:
        """Write it as ONNX, lift that, and prove it against TensorFlow."""
        return _lifting.making(TensorflowFolder(), model, self._graph, _BESIDE)

    def as_file(self, why: str) -> Source:
        """The ONNX file made of it."""
        return _lifting.AsOnnx(TensorflowFolder(), self._graph, _BESIDE, why)

    def reference(self, split: Held) -> Making:
        """PyTorch's own answers: that these are TensorFlow's was proved when it was lifted."""
        return Making(TorchOutputs(split))

    def original(self, split: Held) -> Making:
        """The answers of the model as it came, in TensorFlow."""
        return _files.reference(TensorflowFolder(), self._graph, split)

    def second(self, format_name: str, split: Held) -> Making | None:
        """In TFLite, the answers of the file that TensorFlow's own converter makes."""
        return _files.second(TensorflowConverter(), self._graph, split) if format_name == "tflite" else None

    def teacher(self, model: ModelSpec, teacher: Teacher, origin: PluginSpec) -> Making:
        """The answers of the model in TensorFlow."""
        return _files.teacher(TensorflowFolder(), model, teacher, origin, self._graph, _BESIDE)

    def reader(self) -> Reader:
        """What reads the folder where there is no project."""
        return TensorflowFolder()

    @property
    def _graph(self) -> str:
        return f"{self.file}/{_tensorflow.MARK}"
