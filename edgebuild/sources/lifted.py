"""A trained model that comes as an ONNX file and becomes a PyTorch module: pruned, distilled and trained like any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, ClassVar

from pydantic import Field

from edgebuild.formats import _onnx_adopt
from edgebuild.sources import _files
from edgebuild.sources.onnx import Onnx
from edgebuild.spec.dataset import SplitName
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Inside
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.source import Making, Source
from edgebuild.steps.evidence.torch_outputs import TorchOutputs
from edgebuild.steps.lift_file import LiftFile


@dataclass(frozen=True, slots=True)
class Lifted(Source):
    """Refused, with what to do instead, where the module is not proved to answer as the file does."""

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
        declared = model.declared
        if declared.augment or declared.all_teachers:
            key = "augment" if declared.augment else "teacher" if declared.teacher else "teachers"
            raise UsageError("is for a model that code of yours builds", file=model.file, key=key)
        step = LiftFile(self._reader, self._name, declared.signature.bare, model.origin, f"{model.origin}/{self.file}")
        files = _files.project_files(model, self.file, self.external)
        code = (*_files.modules(self._reader), _onnx_adopt.__name__)
        return Making(step, files, code=code, tools=FORMATS.get("onnx").tools)

    def reference(self, split: SplitName) -> Making:
        """PyTorch's own answers: that these are the file's was proved when it was lifted."""
        return Making(TorchOutputs(split))

    @property
    def _reader(self) -> Onnx:
        return Onnx(self.file, self.external)

    @property
    def _name(self) -> str:
        return PurePosixPath(self.file).name
