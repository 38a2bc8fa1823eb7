"""Runs the model's own data function once, checks what it gave, and keeps it as arrays."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn import opened
from edgebuild.nn.model_code import ModelCode
from edgebuild.spec import dataset, notes, spread, tasks
from edgebuild.spec.artifact import EXCUSED, Determinism, Step, StepIO
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.names import suggest
from edgebuild.spec.reads import Read
from edgebuild.spec.signature import Head, Signature, TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]

SPLITS = ("train", "test")
KEYS = (*SPLITS, "validation", "unlabelled", "slices")


@dataclass(frozen=True, slots=True)
class LoadData(Step):
    """The function must return {"train": (x, labels), "test": (x, labels)}; x is an array, or a tuple of arrays.

    Labels are what the head's task takes ([N] class numbers, or [N, …] values), and of several heads {head: labels}, or
    a tuple in the heads' order. It may add "validation", which is cut from "train" where it does not (in proportion to
    the classes of the first head that has any); "unlabelled": x; and "slices": {name: [N] mask of the test split} of
    parts of the data that must not get worse on their own.
    `reads` are what it reads outside the model's folder; with a parameter, it is given {name: path, or list of paths}
    of them.
    """

    function: str
    signature: Signature
    heads: tuple[Head, ...]
    origin: str = field(default="model", metadata=EXCUSED)
    reads: tuple[Read, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "data"
    needs: ClassVar[tuple[str, ...]] = ("code",)
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write all splits; UsageError for no examples, NaN, wrong shapes, labels out of range or unknown keys."""
        code = ModelCode(io.path("code"), self.origin)
        given = self._load(code, io)
        if not isinstance(given, Mapping):
            raise self._wrong(code, f"returned {type(given).__name__}, not a mapping of splits")
        splits = self._splits(code, given)
        for name, split in splits.items():
            dataset.write(io.output, name, split, self.heads)
        counts = {name: len(split) for name, split in splits.items()}
        cut = "validation" not in given
        if cut:
            aside, whole = counts["validation"], counts["train"] + counts["validation"]
            told = (
                f"{self.function}() gave no validation split: {aside} of {whole} training examples are set aside for it"
            )
            notes.write(io.output, [*notes.read(io.output), told])
        if "unlabelled" in given:
            inputs = self._unlabelled(code, given["unlabelled"])
            dataset.write_inputs(io.output, "unlabelled", inputs)
            counts["unlabelled"] = len(inputs[0])
        slices = self._slices(code, given.get("slices", {}), counts["test"])
        for name in given:
            if name not in KEYS:
                raise self._wrong(code, f"returned {name!r}, which nothing uses", hint=suggest(str(name), KEYS))
        dataset.describe(io.output, self.heads, counts, slices, cut=cut)

    def _splits(self, code: ModelCode, given: Mapping[str, Any]) -> dict[str, dataset.Split]:
        """Those to learn from, to choose by and to judge by."""
        names = [name for name in (*SPLITS, "validation") if name in SPLITS or name in given]
        splits = {name: self._checked(code, name, given.get(name)) for name in names}
        if "validation" not in splits:
            try:
                train = splits["train"]
                splits["train"], splits["validation"] = dataset.cut(train, self._classes(train))
            except ValueError as error:
                hint = 'give more, or a split "validation"'
                raise self._wrong(code, f"split 'train' {error}", hint=hint) from None
        return splits

    def _classes(self, split: dataset.Split) -> Values | None:
        """The class of each example for the first head that has one class for each; None without any."""
        chosen = (y for head, y in zip(self.heads, split.labels, strict=True) if tasks.of(head).choice and y.ndim == 1)
        return next(chosen, None)

    def _load(self, code: ModelCode, io: StepIO) -> Any:
        """What the function returns, given the places of `reads` if it asks for them.

        UsageError when one of these changed since its digest was taken: what was loaded would lie under a wrong key.
        """
        load = code.function(self.function, "data")
        asks = self.reads and any(item.default is item.empty for item in inspect.signature(load).parameters.values())
        with opened.watched() as seen:
            given = load({read.name: read.value() for read in self.reads}) if asks else load()
        for number, read in enumerate(self.reads):
            if not read.unchanged():
                told = f"{read.name!r} was changed while the build read it"
                raise UsageError(told, file=f"{self.origin}/model.toml", key=f"reads[{number}]", hint="build again")
        declared = [file for read in self.reads for file in read.files()]
        unknown = opened.outside(seen, [*declared, code.folder, io.output, io.scratch])
        names = sorted({Path(path).name for path in unknown})  # places differ between machines, an artifact must not
        if names:
            told = f"{self.function}() read {spread.shown(names)}, which reads does not name"
            told = f"{told}: when they change, the data is not loaded anew"
            print(*unknown, sep="\n")
            notes.write(io.output, [told])
        return given

    def _wrong(self, code: ModelCode, reason: str, hint: str | None = None) -> UsageError:
        return UsageError(reason, file=code.file, key=f"{self.function}()", hint=hint)

    def _checked(self, code: ModelCode, name: str, pair: Any) -> dataset.Split:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise self._wrong(code, f"split {name!r} must be a pair (inputs, labels)")
        given = self._by_head(code, name, pair[1])
        every = self._arrays(code, name, [*_listed(pair[0]), *given])
        arrays, labels = every[: len(every) - len(given)], every[len(every) - len(given) :]
        mistake = self._label_mistake(labels) or self._mistake(arrays, len(labels[0]))
        if mistake:
            raise self._wrong(code, f"split {name!r} {mistake}")
        elements = [tasks.of(head).element for head in self.heads]
        kept = tuple(y.astype(element, copy=False) for y, element in zip(labels, elements, strict=True))
        return dataset.Split(self._typed(arrays), kept)

    def _by_head(self, code: ModelCode, name: str, labels: Any) -> list[Any]:
        """The labels of each head, in order; of several heads they are a mapping by name, or a tuple."""
        names = [head.name for head in self.heads]
        if len(names) == 1:
            return [labels[names[0]] if isinstance(labels, Mapping) and names[0] in labels else labels]
        if isinstance(labels, Mapping):
            if {*labels} != {*names}:
                told = f"has labels for {_shown(labels)}, and the model's heads are {_shown(names)}"
                raise self._wrong(code, f"split {name!r} {told}")
            return [labels[one] for one in names]
        if not isinstance(labels, tuple) or len(labels) != len(names):
            told = f"needs labels for each of {_shown(names)}: a mapping by name, or a tuple in this order"
            raise self._wrong(code, f"split {name!r} {told}")
        return [*labels]

    def _unlabelled(self, code: ModelCode, given: Any) -> tuple[Values, ...]:
        arrays = self._arrays(code, "unlabelled", _listed(given))
        examples = len(arrays[0]) if arrays and arrays[0].ndim else 0
        mistake = self._mistake(arrays, examples) or ("" if examples else "has no examples")
        if mistake:
            raise self._wrong(code, f"split 'unlabelled' {mistake}")
        return self._typed(arrays)

    def _slices(self, code: ModelCode, given: Any, examples: int) -> dict[str, Values]:
        import numpy as np

        if not isinstance(given, Mapping):
            raise self._wrong(code, f"'slices' must map names to masks, not be {type(given).__name__}")
        names = [str(name) for name in given]
        masks = self._arrays(code, "slices", list(given.values()))
        for name, mask in zip(names, masks, strict=True):
            if mask.dtype != np.bool_ or mask.shape != (examples,):
                wanted = f"a mask of {examples} booleans, one for each test example"
                raise self._wrong(code, f"slice {name!r} must be {wanted}, not {mask.dtype} {list(mask.shape)}")
            if not mask.any():
                raise self._wrong(code, f"slice {name!r} has no examples")
        return dict(zip(names, masks, strict=True))

    def _arrays(self, code: ModelCode, name: str, given: list[Any]) -> list[Values]:
        import numpy as np

        try:
            return [np.asarray(values) for values in given]
        except Exception as error:  # ragged lists, tensors on a GPU, whatever __array__ may raise
            if exhausted(error):
                raise
            raise self._wrong(code, f"split {name!r} cannot be read as arrays: {error}") from None

    def _typed(self, arrays: list[Values]) -> tuple[Values, ...]:
        return tuple(a.astype(spec.dtype, copy=False) for a, spec in zip(arrays, self.signature.inputs, strict=True))

    def _label_mistake(self, labels: list[Values]) -> str | None:
        """What is wrong with the labels of a split, in words that follow its name; None when nothing is."""
        for head, values in zip(self.heads, labels, strict=True):
            if values.size == 0:
                return "has no examples"
            if mistake := tasks.of(head).label_mistake(values, self.signature.of(head)):
                return mistake if len(labels) == 1 else f"{mistake} (output {head.name!r})"
            if len(values) != len(labels[0]):
                counts = f"{len(labels[0])} labels for {self.heads[0].name!r} and {len(values)} for {head.name!r}"
                return f"has {counts}"
        return None

    def _mistake(self, inputs: list[Values], examples: int) -> str | None:
        """What is wrong with the inputs of a split, in words that follow its name; None when nothing is."""
        if len(inputs) != len(self.signature.inputs):
            return f"has {len(inputs)} inputs, the model declares {len(self.signature.inputs)}"
        for values, spec in zip(inputs, self.signature.inputs, strict=True):
            if mistake := _input_mistake(values, spec, examples):
                return f"input {spec.name!r} {mistake}"
        return None


def _shown(names: Iterable[Any]) -> str:
    return ", ".join(map(str, names)) or "none"


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
