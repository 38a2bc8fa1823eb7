"""A trained model that comes as an ONNX file: quantized, coded, judged and bundled as that, without PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.formats import _onnx_adopt, _onnx_look, _onnx_repaired, _whole
from edgebuild.nn.lift import branches
from edgebuild.sources import _files
from edgebuild.spec.dataset import Held
from edgebuild.spec.fields import Inside
from edgebuild.spec.look import Look
from edgebuild.spec.model import ModelSpec, PluginSpec, Teacher
from edgebuild.spec.reader import Reader
from edgebuild.spec.signature import TensorSpec
from edgebuild.spec.source import Making, Source

if TYPE_CHECKING:
    import numpy as np

    Sample = tuple[np.ndarray[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Onnx(Source):
    """Its inputs get the declared shapes with a batch of 1; weights may lie in other files of its folder."""

    file: Annotated[Inside, Field(description=".onnx file in the model's folder")]
    external: Annotated[
        tuple[Inside, ...], Field(description="files beside it with weights, as paths or patterns from its folder")
    ] = ("*.onnx.data", "*.onnx_data")
    constants: Annotated[
        _files.Constants, Field(description="inputs that are always the same, which [[inputs]] leaves out")
    ] = field(default_factory=dict)

    kind: ClassVar[str] = "onnx"
    runtime: ClassVar[str] = "onnxruntime"
    tools: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    extra: ClassVar[str | None] = "onnx"
    endings: ClassVar[tuple[str, ...]] = (".onnx",)
    unbatched: ClassVar[bool] = True
    instead: ClassVar[str] = (
        "an ONNX file runs on onnx and takes int8, float16, mixed_precision, dynamic_int8, weights_only and encode; "
        'for the rest use = "lifted" makes a PyTorch module of it'
    )

    def float(self, model: ModelSpec) -> Making:
        """Check the file and fix its shapes."""
        _files.refuse_teachers(model, self.kind)
        return _files.making(self, model, self.file, self.external)

    def reference(self, split: Held) -> Making:
        """The answers of the file as it came, in ONNX Runtime."""
        return _files.reference(self, self.file, split)

    def original(self, split: Held) -> Making:
        """The same."""
        return self.reference(split)

    def teacher(self, model: ModelSpec, teacher: Teacher, origin: PluginSpec) -> Making:
        """The answers of the file as it came."""
        return _files.teacher(self, model, teacher, origin, self.file, self.external)

    def reader(self) -> Reader:
        """Itself."""
        return self

    @staticmethod
    def look(path: Path) -> Look:
        """What the file is; it is opened in its runtime, and not run."""
        return _onnx_look.look(path)

    def adopt(self, path: Path, inputs: Sequence[TensorSpec]) -> bytes:
        """The file as this product works on it; UsageError with the reason where it cannot be used."""
        return _onnx_adopt.adopt(path, inputs, self.constants, branches.inline)

    def integer(self, model: bytes) -> str | None:
        """The first operator that computes in integers; None for a float file."""
        return _onnx_adopt.integer(model)

    def answers(self, path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
        """What the file answers to one sample after another."""
        from edgebuild.travels import load_onnx

        model = load_onnx.Model(_onnx_repaired.content(path), {})
        free = [port for port in model.inputs if port.name not in self.constants]
        ranks = [len(port.shape) for port in free]
        fixed = {
            port.name: _onnx_adopt.constant(self.constants[port.name], port.shape, port.dtype)
            for port in model.inputs
            if port.name in self.constants
        }
        for sample in samples:
            values = dict(zip([port.name for port in free], _whole.without(sample, ranks), strict=True)) | fixed
            yield tuple(_whole.within(tuple(model.answer([values[port.name] for port in model.inputs]))))
