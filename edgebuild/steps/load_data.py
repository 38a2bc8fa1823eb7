"""Runs the model's own data function once, checks what it gave, and keeps it as arrays."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn import opened
from edgebuild.nn.source import Source
from edgebuild.spec import dataset, notes, spread
from edgebuild.spec.artifact import EXCUSED, Determinism, StepIO
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.model import Task, TensorSpec
from edgebuild.spec.names import suggest
from edgebuild.spec.reads import Read

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]

SPLITS = ("train", "test")
KEYS = (*SPLITS, "validation", "unlabelled", "slices")


@dataclass(frozen=True, slots=True)
class LoadData:
    """The function must return {"train": (x, labels), "test": (x, labels)}; x is an array, or a tuple of arrays.

    Labels are [N] class numbers below `width`, or for other tasks [N, width] values. It may add "validation", which is
    cut from "train" where it does not; "unlabelled": x; and "slices": {name: [N] mask of the test split} of parts of
    the data that must not get worse on their own.
    `reads` are what it reads outside the model's folder; with a parameter, it is given {name: path, or list of paths}
    of them.
    """

    function: str
    inputs: tuple[TensorSpec, ...]
    width: int
    origin: str = field(default="model", metadata=EXCUSED)
    task: Task = "classification"
    reads: tuple[Read, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "data"
    needs: ClassVar[tuple[str, ...]] = ("source",)
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write all splits; UsageError for no examples, NaN, wrong shapes, labels out of range or unknown keys."""
        source = Source(io.path("source"), self.origin)
        given = self._load(source, io)
        if not isinstance(given, Mapping):
            raise self._wrong(source, f"returned {type(given).__name__}, not a mapping of splits")
        splits = self._splits(source, given)
        for name, split in splits.items():
            dataset.write(io.output, name, split)
        counts = {name: len(split) for name, split in splits.items()}
        cut = "validation" not in given
        if cut:
            aside, whole = counts["validation"], counts["train"] + counts["validation"]
            told = (
                f"{self.function}() gave no validation split: {aside} of {whole} training examples are set aside for it"
            )
            notes.write(io.output, [*notes.read(io.output), told])
        if "unlabelled" in given:
            inputs = self._unlabelled(source, given["unlabelled"])
            dataset.write_inputs(io.output, "unlabelled", inputs)
            counts["unlabelled"] = len(inputs[0])
        slices = self._slices(source, given.get("slices", {}), counts["test"])
        for name in given:
            if name not in KEYS:
                raise self._wrong(source, f"returned {name!r}, which nothing uses", hint=suggest(str(name), KEYS))
        dataset.describe(io.output, self.task, counts, slices, cut=cut)

    def _splits(self, source: Source, given: Mapping[str, Any]) -> dict[str, dataset.Split]:
        """Those to learn from, to choose by and to judge by."""
        names = [name for name in (*SPLITS, "validation") if name in SPLITS or name in given]
        splits = {name: self._checked(source, name, given.get(name)) for name in names}
        if "validation" not in splits:
            try:
                splits["train"], splits["validation"] = dataset.cut(splits["train"])
            except ValueError as error:
                hint = 'give more, or a split "validation"'
                raise self._wrong(source, f"split 'train' {error}", hint=hint) from None
        return splits

    def _load(self, source: Source, io: StepIO) -> Any:
        """What the function returns, given the places of `reads` if it asks for them.

        UsageError when one of these changed since its digest was taken: what was loaded would lie under a wrong key.
        """
        load = source.function(self.function, "data")
        asks = self.reads and any(item.default is item.empty for item in inspect.signature(load).parameters.values())
        with opened.watched() as seen:
            given = load({read.name: read.value() for read in self.reads}) if asks else load()
        for number, read in enumerate(self.reads):
            if not read.unchanged():
                told = f"{read.name!r} was changed while the build read it"
                raise UsageError(told, file=f"{self.origin}/model.toml", key=f"reads[{number}]", hint="build again")
        declared = [file for read in self.reads for file in read.files()]
        unknown = opened.outside(seen, [*declared, source.folder, io.output, io.scratch])
        names = sorted({Path(path).name for path in unknown})  # places differ between machines, an artifact must not
        if names:
            told = f"{self.function}() read {spread.shown(names)}, which reads does not name"
            told = f"{told}: when they change, the data is not loaded anew"
            print(*unknown, sep="\n")
            notes.write(io.output, [told])
        return given

    def _wrong(self, source: Source, reason: str, hint: str | None = None) -> UsageError:
        return UsageError(reason, file=source.file, key=f"{self.function}()", hint=hint)

    def _checked(self, source: Source, name: str, pair: Any) -> dataset.Split:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise self._wrong(source, f"split {name!r} must be a pair (inputs, labels)")
        *arrays, labels = self._arrays(source, name, [*_listed(pair[0]), pair[1]])
        mistake = self._label_mistake(labels) or self._mistake(arrays, len(labels))
        if mistake:
            raise self._wrong(source, f"split {name!r} {mistake}")
        kept = "int64" if self.task == "classification" else "float32"
        return dataset.Split(self._typed(arrays), labels.astype(kept, copy=False))

    def _unlabelled(self, source: Source, given: Any) -> tuple[Values, ...]:
        arrays = self._arrays(source, "unlabelled", _listed(given))
        examples = len(arrays[0]) if arrays and arrays[0].ndim else 0
        mistake = self._mistake(arrays, examples) or ("" if examples else "has no examples")
        if mistake:
            raise self._wrong(source, f"split 'unlabelled' {mistake}")
        return self._typed(arrays)

    def _slices(self, source: Source, given: Any, examples: int) -> dict[str, Values]:
        import numpy as np

        if not isinstance(given, Mapping):
            raise self._wrong(source, f"'slices' must map names to masks, not be {type(given).__name__}")
        names = [str(name) for name in given]
        masks = self._arrays(source, "slices", list(given.values()))
        for name, mask in zip(names, masks, strict=True):
            if mask.dtype != np.bool_ or mask.shape != (examples,):
                wanted = f"a mask of {examples} booleans, one for each test example"
                raise self._wrong(source, f"slice {name!r} must be {wanted}, not {mask.dtype} {list(mask.shape)}")
            if not mask.any():
                raise self._wrong(source, f"slice {name!r} has no examples")
        return dict(zip(names, masks, strict=True))

    def _arrays(self, source: Source, name: str, given: list[Any]) -> list[Values]:
        import numpy as np

        try:
            return [np.asarray(values) for values in given]
        except Exception as error:  # ragged lists, tensors on a GPU, whatever __array__ may raise
            if exhausted(error):
                raise
            raise self._wrong(source, f"split {name!r} cannot be read as arrays: {error}") from None

    def _typed(self, arrays: list[Values]) -> tuple[Values, ...]:
        return tuple(a.astype(spec.dtype, copy=False) for a, spec in zip(arrays, self.inputs, strict=True))

    def _label_mistake(self, labels: Values) -> str | None:
        """What is wrong with the labels of a split, in words that follow its name; None when nothing is."""
        if labels.size == 0:
            return "has no examples"
        if self.task != "classification":
            return self._target_mistake(labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            return f"needs whole-number labels of shape [N], got {labels.dtype} {list(labels.shape)}"
        if labels.min() < 0 or labels.max() >= self.width:
            return f"has labels from {labels.min()} to {labels.max()}; the model declares {self.width} classes"
        return None

    def _target_mistake(self, targets: Values) -> str | None:
        import numpy as np

        if targets.ndim != 2 or targets.shape[1] != self.width or targets.dtype.kind not in "fiu":
            wanted = f"needs numbers of shape [N, {self.width}] as labels"
            return f"{wanted} for task {self.task!r}, got {targets.dtype} {list(targets.shape)}"
        good = (np.abs(targets) <= np.finfo(np.float32).max).all(1)  # NaN is not
        if self.task == "embedding":
            good &= (targets != 0).any(1)  # a vector of no length points nowhere
        if not good.all():
            what = "NaN, infinite or zero vectors" if self.task == "embedding" else "NaN or infinite values"
            return f"has {what} among its labels, first in example {int(np.argmin(good))}"
        return None

    def _mistake(self, inputs: list[Values], examples: int) -> str | None:
        """What is wrong with the inputs of a split, in words that follow its name; None when nothing is."""
        if len(inputs) != len(self.inputs):
            return f"has {len(inputs)} inputs, the model declares {len(self.inputs)}"
        for values, spec in zip(inputs, self.inputs, strict=True):
            if mistake := _input_mistake(values, spec, examples):
                return f"input {spec.name!r} {mistake}"
        return None


def _listed(inputs: Any) -> list[Any]:
    return list(inputs) if isinstance(inputs, tuple | list) else [inputs]


def _input_mistake(values: Values, spec: TensorSpec, examples: int) -> str | None:
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
