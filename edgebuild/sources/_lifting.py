"""What sources have in common whose file becomes a PyTorch module, by way of ONNX: the plan of the lift, and of the
model as a file where it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

from edgebuild.formats import _onnx_adopt
from edgebuild.sources import _files
from edgebuild.spec.dataset import Held
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.reader import Reader
from edgebuild.spec.source import Making, Source
from edgebuild.steps.lift_file import LiftFile


def making(reader: Reader, model: ModelSpec, file: str, external: tuple[str, ...] = ()) -> Making:
    """The lift of `file`, which `reader` makes an ONNX file of, and its proof on validation examples."""
    _files.refuse_fit(model)
    declared, name = model.declared, PurePosixPath(file).name
    shown = f"{model.origin}/{file}"
    step = LiftFile(reader, name, declared.signature.bare, declared.augment, model.origin, shown)
    read = _files.making(reader, model, file, external)
    return Making(step, read.files, code=(*read.code, _onnx_adopt.__name__), tools=read.tools)


@dataclass(frozen=True, slots=True)
class AsFile(Source):
    """The same model as the file that it would have been lifted from; `why` is what was in the way of that."""

    by: Reader
    file: str
    external: tuple[str, ...]
    why: str

    def float(self, model: ModelSpec) -> Making:
        """Check the file, fix its shapes, and note why it is one."""
        return _files.making(self.by, model, self.file, self.external, self.why)

    def reference(self, split: Held) -> Making:
        """The answers of the file as it came, in its own runtime."""
        return _files.reference(self.by, self.file, split)

    def original(self, split: Held) -> Making:
        """The same."""
        return self.reference(split)


@dataclass(frozen=True, slots=True)
class AsOnnx(AsFile):
    """Of ONNX, which the file was, or which its reader makes of it."""

    kind: ClassVar[str] = "onnx"


@dataclass(frozen=True, slots=True)
class AsTflite(AsFile):
    """Of TFLite."""

    kind: ClassVar[str] = "tflite"
