"""A program of torch.export (.pt2) that becomes a module of real layers again: pruned and trained like any."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.formats import _onnx_adopt
from edgebuild.nn.program import loaded
from edgebuild.nn.program import look as looking
from edgebuild.spec.dataset import SplitName
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Inside
from edgebuild.spec.look import Look
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import TensorSpec
from edgebuild.spec.source import Making, ProjectFile, Source
from edgebuild.steps.evidence.torch_outputs import TorchOutputs
from edgebuild.steps.lift_file import LiftFile

if TYPE_CHECKING:
    import numpy as np

    Sample = tuple[np.ndarray[Any, Any], ...]

_INSTEAD = "a builder in model.py and the program's state_dict need no lift"


@dataclass(frozen=True, slots=True)
class Pt2(Source):
    """An exported program has no layers, and so nothing to prune: it goes through ONNX and the lift, which is proved
    against the program itself. A file that would run code when it is loaded is refused.
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
        declared, origin = model.declared, model.declared.origin
        if declared.augment or declared.all_teachers:
            key = "augment" if declared.augment else "teacher" if declared.teacher else "teachers"
            raise UsageError("is for a model that code of yours builds", file=model.file, key=key)
        name = PurePosixPath(self.file).name
        shown = f"{model.origin}/{self.file}"
        step = LiftFile(self, name, declared.signature.bare, model.origin, shown, _INSTEAD)
        files = {"file": (ProjectFile(self.file, origin.key_of("file")),)}
        return Making(step, files, code=(__name__, _onnx_adopt.__name__), tools=FORMATS.get("onnx").tools)

    def reference(self, split: SplitName) -> Making:
        """PyTorch's own answers: that these are the program's was proved when it was lifted."""
        return Making(TorchOutputs(split))

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
