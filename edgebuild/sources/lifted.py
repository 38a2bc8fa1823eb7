"""A trained model that comes as an ONNX file and becomes a PyTorch module: pruned, distilled and trained like any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from edgebuild.sources import _files, _lifting
from edgebuild.sources.onnx import Onnx
from edgebuild.spec.dataset import Held
from edgebuild.spec.fields import Inside
from edgebuild.spec.model import ModelSpec, PluginSpec, Teacher
from edgebuild.spec.source import Making, Source
from edgebuild.steps.evidence.torch_outputs import TorchOutputs


@dataclass(frozen=True, slots=True)
class Lifted(Source):
    """Goes on as a file, and says why, where the module is not proved to answer as the file does."""

    file: Annotated[Inside, Field(description=".onnx file in the model's folder")]
    external: Annotated[
        tuple[Inside, ...], Field(description="files beside it with weights, as paths or patterns from its folder")
    ] = ("*.onnx.data", "*.onnx_data")

    kind: ClassVar[str] = "torch"
    trainable: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "onnx", "onnxruntime")
    extra: ClassVar[str | None] = "torch,onnx"

    def float(self, model: ModelSpec) -> Making:
        """Lift the file and prove it."""
        return _lifting.making(self.reader(), model, self.file, self.external)

    def as_file(self, why: str) -> Source:
        """The file as it came, which runs on onnx."""
        return _lifting.AsFile(self.reader(), self.file, self.external, why)

    def reference(self, split: Held) -> Making:
        """PyTorch's own answers: that these are the file's was proved when it was lifted."""
        return Making(TorchOutputs(split))

    def original(self, split: Held) -> Making:
        """The answers of the file as it came, in ONNX Runtime."""
        return _files.reference(self.reader(), self.file, split)

    def teacher(self, model: ModelSpec, teacher: Teacher, origin: PluginSpec) -> Making:
        """The answers of the file as it came."""
        return _files.teacher(self.reader(), model, teacher, origin, self.file, self.external)

    def reader(self) -> Onnx:
        """The same file, as what it is."""
        return Onnx(self.file, self.external)
