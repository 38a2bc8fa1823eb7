"""Runs the model's own data function once, checks what it gave, and keeps it as arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.source import Source
from edgebuild.spec import dataset
from edgebuild.spec.artifact import EXCUSED, Determinism, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import TensorSpec

if TYPE_CHECKING:
    import numpy as np

SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True)
class LoadData:
    """The function must return {"train": (x, labels), "test": (x, labels)}; x is an array, or a tuple of arrays."""

    function: str
    inputs: tuple[TensorSpec, ...]
    classes: int
    origin: str = field(default="model", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "data"
    needs: ClassVar[tuple[str, ...]] = ("source",)
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write both splits; UsageError for no examples, NaN, wrong shapes or labels out of range."""
        source = Source(io.path("source"), self.origin)
        given = source.function(self.function, "data")()
        if not isinstance(given, Mapping):
            raise self._wrong(source, f"returned {type(given).__name__}, not a mapping of splits")
        counts = {}
        for name in SPLITS:
            split = self._checked(source, name, given.get(name))
            dataset.write(io.output, name, split)
            counts[name] = len(split)
        (io.output / "data.json").write_text(json.dumps({"examples": counts}) + "\n")

    def _wrong(self, source: Source, reason: str) -> UsageError:
        return UsageError(reason, file=source.file, key=f"{self.function}()")

    def _checked(self, source: Source, name: str, pair: Any) -> dataset.Split:
        import numpy as np

        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise self._wrong(source, f"split {name!r} must be a pair (inputs, labels)")
        inputs = pair[0] if isinstance(pair[0], tuple | list) else (pair[0],)
        try:
            arrays, labels = tuple(np.asarray(values) for values in inputs), np.asarray(pair[1])
        except Exception as error:  # ragged lists, tensors on a GPU, whatever __array__ may raise
            raise self._wrong(source, f"split {name!r} cannot be read as arrays: {error}") from None
        mistake = self._mistake(arrays, labels)
        if mistake:
            raise self._wrong(source, f"split {name!r} {mistake}")
        typed = tuple(a.astype(spec.dtype, copy=False) for a, spec in zip(arrays, self.inputs, strict=True))
        return dataset.Split(typed, labels.astype(np.int64, copy=False))

    def _mistake(self, inputs: tuple[np.ndarray[Any, Any], ...], labels: np.ndarray[Any, Any]) -> str | None:
        """What is wrong with a split, in words that follow its name; None when nothing is."""
        if len(inputs) != len(self.inputs):
            return f"has {len(inputs)} inputs, the model declares {len(self.inputs)}"
        if labels.size == 0:
            return "has no examples"
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            return f"needs whole-number labels of shape [N], got {labels.dtype} {list(labels.shape)}"
        if labels.min() < 0 or labels.max() >= self.classes:
            return f"has labels from {labels.min()} to {labels.max()}; the model declares {self.classes} classes"
        for values, spec in zip(inputs, self.inputs, strict=True):
            if mistake := _input_mistake(values, spec, len(labels)):
                return f"input {spec.name!r} {mistake}"
        return None


def _input_mistake(values: np.ndarray[Any, Any], spec: TensorSpec, examples: int) -> str | None:
    import numpy as np

    if values.shape != (examples, *spec.shape):
        return f"has shape {list(values.shape)}; declared and labelled are {[examples, *spec.shape]}"
    declared = np.dtype(spec.dtype)
    if values.dtype.kind not in ("fiu" if declared.kind == "f" else "iu"):
        return f"has elements of type {values.dtype}, declared are {declared}"
    limits = np.finfo(declared) if declared.kind == "f" else np.iinfo(declared)
    good = (values >= limits.min) & (values <= limits.max)  # NaN is neither
    if not good.all():
        first = int(np.argwhere(~good)[0][0])
        return f"has NaN, infinite or too large values for {declared}, first in example {first}"
    return None
