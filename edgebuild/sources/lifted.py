"""A trained model that comes as ONNX or TFLite and becomes a PyTorch module: pruned, distilled and trained like any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.formats import _onnx_adopt, _tflite_adopt, tflite_to_onnx
from edgebuild.sources import _files, _lifting
from edgebuild.sources.onnx import Onnx
from edgebuild.sources.tflite import Tflite
from edgebuild.spec.dataset import Held
from edgebuild.spec.fields import Inside
from edgebuild.spec.model import ModelSpec, PluginSpec, Teacher
from edgebuild.spec.reader import Reader
from edgebuild.spec.signature import TensorSpec
from edgebuild.spec.source import Making, Source
from edgebuild.steps.evidence.torch_outputs import TorchOutputs

if TYPE_CHECKING:
    import numpy as np

    Sample = tuple[np.ndarray[Any, Any], ...]

_TFLITE = ".tflite"


@dataclass(frozen=True, slots=True)
class TfliteGraph:
    """Reads .tflite files as ONNX, operator by operator; they answer in LiteRT."""

    kind: ClassVar[str] = "onnx"
    runtime: ClassVar[str] = "ai-edge-litert"
    tools: ClassVar[tuple[str, ...]] = ("onnx",)

    def adopt(self, path: Path, inputs: Sequence[TensorSpec]) -> bytes:
        """The model as an ONNX file; NoGraphError where an operator has none, UsageError for what is of no use."""
        return tflite_to_onnx.translate(_tflite_adopt.adopt(path, inputs))

    def integer(self, model: bytes) -> str | None:
        """The first operator that computes in integers; None for a float file."""
        return _onnx_adopt.integer(model)

    def answers(self, path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
        """What the file answers to one sample after another."""
        return Tflite(path.name).answers(path, samples)


@dataclass(frozen=True, slots=True)
class Lifted(Source):
    """Goes on as a file, and says why, where the module is not proved to answer as the file does."""

    file: Annotated[Inside, Field(description=".onnx or .tflite file in the model's folder")]
    external: Annotated[
        tuple[Inside, ...], Field(description="files beside it with weights, as paths or patterns from its folder")
    ] = ("*.onnx.data", "*.onnx_data")
    constants: Annotated[_files.Constants, Field(description="inputs of an ONNX file that are always the same")] = (
        field(default_factory=dict)
    )

    kind: ClassVar[str] = "torch"
    trainable: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "onnx", "onnxruntime")
    extra: ClassVar[str | None] = "torch,onnx"

    def packages(self) -> tuple[tuple[str, ...], str | None]:
        """Those of the lift, and LiteRT where the file is to answer there."""
        return (
            ((*self.requires, *Tflite.requires), f"{self.extra},{Tflite.extra}")
            if self._is_tflite
            else (
                self.requires,
                self.extra,
            )
        )

    def float(self, model: ModelSpec) -> Making:
        """Lift the file and prove it."""
        return _lifting.making(self.reader(), model, self.file, self.external)

    def as_file(self, why: str) -> Source:
        """The file as it came, which runs on onnx or on tflite."""
        if self._is_tflite:
            return _lifting.AsTflite(Tflite(self.file), self.file, (), why)
        return _lifting.AsOnnx(self.reader(), self.file, self.external, why)

    def reference(self, split: Held) -> Making:
        """PyTorch's own answers: that these are the file's was proved when it was lifted."""
        return Making(TorchOutputs(split))

    def original(self, split: Held) -> Making:
        """The answers of the file as it came, in its own runtime."""
        return _files.reference(self.reader(), self.file, split)

    def teacher(self, model: ModelSpec, teacher: Teacher, origin: PluginSpec) -> Making:
        """The answers of the file as it came."""
        return _files.teacher(self.reader(), model, teacher, origin, self.file, self.external)

    def reader(self) -> Reader:
        """Reads the file as ONNX, which it is or which is made of it."""
        return TfliteGraph() if self._is_tflite else Onnx(self.file, self.external, self.constants)

    @property
    def _is_tflite(self) -> bool:
        return self.file.endswith(_TFLITE)
