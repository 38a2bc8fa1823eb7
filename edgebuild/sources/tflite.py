"""A trained model that comes as a TFLite file: quantized, coded, judged and bundled as that, without PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.formats import _tflite_adopt, _tflite_look, _whole
from edgebuild.sources import _files
from edgebuild.spec.fields import Inside
from edgebuild.spec.look import Look
from edgebuild.spec.source import Making, Source

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.spec.dataset import Held
    from edgebuild.spec.model import ModelSpec, PluginSpec, Teacher
    from edgebuild.spec.reader import Reader
    from edgebuild.spec.signature import TensorSpec

    Sample = tuple[np.ndarray[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Tflite(Source):
    """Its inputs are declared as the file has them, channels last where it has them last, with a batch of 1."""

    file: Annotated[Inside, Field(description=".tflite file in the model's folder")]

    kind: ClassVar[str] = "tflite"
    runtime: ClassVar[str] = "ai-edge-litert"
    tools: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[tuple[str, ...]] = ("ai-edge-litert",)
    extra: ClassVar[str | None] = "tflite"
    endings: ClassVar[tuple[str, ...]] = (".tflite",)
    unbatched: ClassVar[bool] = True
    instead: ClassVar[str] = (
        "a TFLite file runs on tflite and takes int8, float16, mixed_precision, dynamic_int8, weights_only and encode; "
        'for the rest use = "lifted" makes a PyTorch module of it'
    )

    def float(self, model: ModelSpec) -> Making:
        """Check the file and make it modern."""
        _files.refuse_teachers(model, self.kind)
        return _files.making(self, model, self.file)

    def reference(self, split: Held) -> Making:
        """The answers of the file as it came, in LiteRT."""
        return _files.reference(self, self.file, split)

    def original(self, split: Held) -> Making:
        """The same."""
        return self.reference(split)

    def teacher(self, model: ModelSpec, teacher: Teacher, origin: PluginSpec) -> Making:
        """The answers of the file as it came."""
        return _files.teacher(self, model, teacher, origin, self.file)

    def reader(self) -> Reader:
        """Itself."""
        return self

    @staticmethod
    def look(path: Path) -> Look:
        """What the file is; it is opened in its runtime, and not run."""
        return _tflite_look.look(path)

    def adopt(self, path: Path, inputs: Sequence[TensorSpec]) -> bytes:
        """The file as this product works on it; UsageError with the reason where it cannot be used."""
        return _tflite_adopt.adopt(path, inputs)

    def integer(self, model: bytes) -> str | None:
        """The first type of quantized values; None for a float file."""
        return _tflite_adopt.integer(model)

    def answers(self, path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
        """What the file answers to one sample after another."""
        from edgebuild.travels import load_tflite

        model = load_tflite.Model(str(path), {})
        ranks = [len(port.shape) for port in model.inputs]
        values = (_whole.without(sample, ranks) for sample in samples)
        return (tuple(_whole.within(tuple(model.answer(sample)))) for sample in values)
