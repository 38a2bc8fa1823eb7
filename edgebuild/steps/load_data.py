"""Has a model's examples loaded once, by its own function or a kind of data, checks what comes, keeps it as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec import dataset, drawing, notes, tasks, unshared
from edgebuild.spec.artifact import EXCUSED, Step, StepIO
from edgebuild.spec.data import Blocks, Data, DataRequest
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.names import suggest
from edgebuild.spec.preprocess import Preprocess
from edgebuild.spec.reads import Read
from edgebuild.spec.rows import Form
from edgebuild.spec.signature import Head, Signature
from edgebuild.steps import _examples, _groups, _streams
from edgebuild.steps._examples import Pair

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.spec.rows import Mask

    Values = np.ndarray[Any, Any]

SPLITS = ("train", "test")
KEYS = (*SPLITS, "validation", "unlabelled", "slices", "streams", "groups")
_SHOWN = 5  # classes that a line names


@dataclass(frozen=True, slots=True)
class LoadData(Step):
    """The data must give {"train": (x, labels), "test": (x, labels)}; x is an array, or a tuple of arrays.

    Labels are what the head's task takes ([N] class numbers, or [N, …] values), and of several heads {head: labels}, or
    a tuple in the heads' order. It may add "validation", which is cut from "train" where it does not (in proportion to
    the classes of the first head that has any, or by groups); "unlabelled": x; "slices": {name: [N] mask of the test
    split} of parts of the data that must not get worse on their own; and "groups": {split: [N]}, what examples have in
    common.
    `reads` are what it reads outside the model's folder, `preprocess` and `classes` what a kind of data may ask for.
    """

    data: Data
    signature: Signature
    heads: tuple[Head, ...]
    origin: str = field(default="model", metadata=EXCUSED)
    reads: tuple[Read, ...] = ()
    preprocess: Preprocess | None = None
    classes: tuple[str, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "data"
    needs: ClassVar[tuple[str, ...]] = ("code",)
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    @property
    def stays(self) -> bool:
        """What `reads` names, and what `load()` opens or downloads, is where the project is."""
        return True

    def uses(self) -> tuple[str, ...]:
        """The model's own code, where it has a part in the data."""
        return self.needs if self.data.code else ()

    def run(self, io: StepIO) -> None:
        """Write all splits; UsageError for no examples, NaN, wrong shapes, labels out of range or unknown keys."""
        loaded = self.data.load(self._request(io))
        returned, lines = loaded.splits, [*loaded.notes]
        self._check_reads()
        if self.preprocess is not None and self.preprocess.reads():
            dataset.keep_file(io.output, Path(self.reads[-1].place))
        splits = {
            name: self._pair(name, returned.get(name))
            for name in (*SPLITS, "validation")
            if name in (*SPLITS, *returned)
        }
        if loaded.without is None:
            lines += [line for name in SPLITS for line in self._absent(name, splits[name])]
        counts = {name: len(split.labels[0]) for name, split in splits.items()}
        streams = self._streams(returned.get("streams", {}), counts) if self.signature.loops else {}
        groups = self._groups(returned["groups"], counts) if "groups" in returned else {}
        cut = "validation" not in returned
        if cut:
            late = _streams.late(streams["train"]) if streams else None
            own = groups.get("train")
            aside, whole = self._set_aside(splits["train"], own) if late is None else late, counts["train"]
            counts |= {"train": int((~aside).sum()), "validation": int(aside.sum())}
            gave = f"{self.data.place(self.origin)[1]} gave no validation split"
            lines.append(f"{gave}: {counts['validation']} of {whole} training examples are set aside for it")
        forms = dict[str, list[Form]]()
        for name, split in splits.items():
            parts = {"train": ~aside, "validation": aside} if cut and name == "train" else {name: None}
            forms[name] = self._keep(io, name, split, parts)
            for part, mask in parts.items() if streams else ():
                dataset.write_streams(io.output, part, streams[name] if mask is None else streams[name][mask])
            for part, mask in parts.items() if groups else ():
                dataset.write_groups(io.output, part, groups[name] if mask is None else groups[name][mask])
        if "unlabelled" in returned:
            counts["unlabelled"], forms["unlabelled"] = self._keep_unlabelled(io, returned["unlabelled"])
        self._check_forms(forms)
        slices = self._slices(returned.get("slices", {}), counts["test"])
        for name in returned:
            if name not in KEYS:
                raise self._wrong(f"returned {name!r}, which nothing uses", hint=suggest(str(name), KEYS))
        dataset.describe(
            io.output, self.heads, counts, slices, forms["train"], cut=cut or loaded.cut, without=loaded.without
        )
        if loaded.unnamed:
            unshared.mark(io.output)
        if lines:
            notes.write(io.output, [*notes.read(io.output), *lines])

    def _request(self, io: StepIO) -> DataRequest:
        code = io.path("code") if self.data.code else None
        own = (io.output, io.scratch)
        shown = (self.signature, self.heads, self.origin, self.reads, self._prepares(), self.classes)
        return DataRequest(*shown, code, own, io.scratch)

    def _prepares(self) -> Preprocess | None:
        """What `[preprocess]` says, with the place of the file that it reads, which is the last one."""
        if self.preprocess is None or not self.preprocess.reads():
            return self.preprocess
        prepares: Preprocess = self.preprocess.with_file(self.reads[-1].place)
        return prepares

    def _check_reads(self) -> None:
        """UsageError when one of these changed since its digest was taken: the data would lie under a wrong key."""
        prepared = [*self.preprocess.reads()] if self.preprocess is not None else []
        declared = [*self.data.reads()]
        own = [f"reads[{number}]" for number in range(len(self.reads) - len(prepared) - len(declared))]
        keys = [*own, *declared, *prepared]
        for key, read in zip(keys, self.reads, strict=True):
            if not read.unchanged():
                message = f"{read.name!r} was changed while the build read it"
                raise UsageError(message, file=f"{self.origin}/model.toml", key=key, hint="build again")

    def _wrong(self, reason: str, hint: str | None = None) -> UsageError:
        file, key = self.data.place(self.origin)
        return UsageError(reason, file=file, key=key, hint=hint)

    def _set_aside(self, train: Pair, groups: Values | None) -> Mask:
        classes = (y for head, y in zip(self.heads, train.labels, strict=True) if tasks.of(head).choice and y.ndim == 1)
        try:
            if groups is not None:
                return drawing.groups_aside(groups)
            return drawing.set_aside(len(train.labels[0]), next(classes, None))
        except ValueError as error:
            raise self._wrong(f"split 'train' {error}", hint='give more, or a split "validation"') from None

    def _pair(self, name: str, pair: Any) -> Pair:
        """A split whose labels, shapes and types are as they must be; its values are looked at on their way to disk."""
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise self._wrong(f"split {name!r} must be a pair (inputs, labels)")
        inputs = _streams.with_states(self._arrays(name, _listed(pair[0])), self.signature)
        labels = self._arrays(name, self._assumed(name, inputs, self._by_head(name, pair[1])))
        wrong = self._label_mistake(labels) or self._input_mistake(inputs, len(labels[0]))
        if wrong:
            raise self._wrong(f"split {name!r} {wrong}")
        elements = [tasks.of(head).element for head in self.heads]
        return Pair(inputs, tuple(y.astype(e, copy=False) for y, e in zip(labels, elements, strict=True)))

    def _input_mistake(self, inputs: tuple[Values | Blocks, ...], examples: int) -> str | None:
        return _examples.mistake(inputs, self.signature, self.preprocess, examples)

    def _absent(self, name: str, split: Pair) -> Iterator[str]:
        """A line for each head some of whose classes no example of the split has."""
        import numpy as np

        for head, labels in zip(self.heads, split.labels, strict=True):
            classes = tasks.of(head).classes_of(self.signature.of(head)[0]) if tasks.of(head).choice else None
            absent = [*sorted({*range(classes or 0)} - {*np.unique(labels).tolist()})]
            if absent:
                known = dict(enumerate(self.classes))
                shown = ", ".join(repr(known.get(number, number)) for number in absent[:_SHOWN])
                more = ", …" if len(absent) > _SHOWN else ""
                yield f"split {name!r} has no example of {len(absent)} of {classes} classes: {shown}{more}"

    def _assumed(self, name: str, inputs: tuple[Any, ...], labels: list[Any]) -> list[Any]:
        """Labels as they came; where none did, what their task takes for granted."""
        completed = []
        for head, own in zip(self.heads, labels, strict=True):
            examples = inputs[0].shape[0] if inputs else 0
            known = tasks.of(head).assumed(examples, self.signature.of(head)) if own is None else own
            if known is None:
                raise self._wrong(f"split {name!r} has no labels, and task {head.task!r} needs them")
            completed.append(known)
        return completed

    def _keep(self, io: StepIO, name: str, split: Pair, rows: Mapping[str, Mask | None]) -> list[Form]:
        """What becomes of each input when it is read."""
        inputs = _examples.intakes(split.inputs, self.signature, self.preprocess)
        wrong = _examples.keep(io.output, inputs, rows)
        if wrong:
            raise self._wrong(f"split {name!r} {wrong}")
        for part, mask in rows.items():
            labels = [y if mask is None else y[mask] for y in split.labels]
            dataset.write_labels(io.output, part, labels, self.heads)
        return [each.form for each in inputs]

    def _check_forms(self, forms: Mapping[str, list[Form]]) -> None:
        """UsageError where one split has pictures and another values that are the model's input already."""
        for name, own in forms.items():
            if own != forms["train"]:
                message = f"split {name!r} and split 'train' are not alike: one has 8-bit pictures, the other values"
                raise self._wrong(message)

    def _by_head(self, name: str, labels: Any) -> list[Any]:
        """The labels of each head, in order; of several heads they are a mapping by name, or a tuple."""
        names = [head.name for head in self.heads]
        if labels is None:
            return [None] * len(names)
        if len(names) == 1:
            return [labels[names[0]] if isinstance(labels, Mapping) and names[0] in labels else labels]
        if isinstance(labels, Mapping):
            if {*labels} != {*names}:
                reason = f"has labels for {_shown(labels)}, and the model's heads are {_shown(names)}"
                raise self._wrong(f"split {name!r} {reason}")
            return [labels[one] for one in names]
        if not isinstance(labels, tuple) or len(labels) != len(names):
            reason = f"needs labels for each of {_shown(names)}: a mapping by name, or a tuple in this order"
            raise self._wrong(f"split {name!r} {reason}")
        return [*labels]

    def _keep_unlabelled(self, io: StepIO, values: Any) -> tuple[int, list[Form]]:
        """The number of examples without labels, and what becomes of them when they are read."""
        inputs = _streams.with_states(self._arrays("unlabelled", _listed(values)), self.signature)
        examples = inputs[0].shape[0] if inputs and inputs[0].shape else 0
        wrong = self._input_mistake(inputs, examples) or ("" if examples else "has no examples")
        intakes = _examples.intakes(inputs, self.signature, self.preprocess)
        wrong = wrong or _examples.keep(io.output, intakes, {"unlabelled": None}) or ""
        if wrong:
            raise self._wrong(f"split 'unlabelled' {wrong}")
        return examples, [each.form for each in intakes]

    def _streams(self, declared: Any, counts: Mapping[str, int]) -> dict[str, Values]:
        """Which stream each example is of; a split for which nothing is said is one."""
        import numpy as np

        streams = {}
        for name, count in counts.items():
            (numbers,) = self._arrays("streams", [declared.get(name, np.zeros(count, np.int64))])
            if numbers.shape != (count,) or numbers.dtype.kind not in "iu":
                reason = f"{count} whole numbers, one for each example, not {numbers.dtype} {list(numbers.shape)}"
                raise self._wrong(f"streams of split {name!r} must be {reason}")
            if len(np.unique(numbers)) != int(dataset.starts(numbers).sum()):
                raise self._wrong(f"streams of split {name!r} are mixed: the examples of one follow each other")
            streams[name] = numbers.astype(np.int64)
        return streams

    def _groups(self, groups: Any, counts: Mapping[str, int]) -> dict[str, Values]:
        """The number of each example's group, [N] by split; UsageError for a group of two splits."""
        try:
            return _groups.numbered(groups, counts)
        except ValueError as error:
            raise self._wrong(str(error)) from None

    def _slices(self, slices: Any, examples: int) -> dict[str, Values]:
        import numpy as np

        if not isinstance(slices, Mapping):
            raise self._wrong(f"'slices' must map names to masks, not be {type(slices).__name__}")
        names = [str(name) for name in slices]
        masks = self._arrays("slices", list(slices.values()))
        for name, mask in zip(names, masks, strict=True):
            if mask.dtype != np.bool_ or mask.shape != (examples,):
                expected = f"a mask of {examples} booleans, one for each test example"
                raise self._wrong(f"slice {name!r} must be {expected}, not {mask.dtype} {list(mask.shape)}")
            if not mask.any():
                raise self._wrong(f"slice {name!r} has no examples")
        return dict(zip(names, masks, strict=True))

    def _arrays(self, name: str, listed: list[Any]) -> list[Any]:
        """Each as an array, but for what comes in blocks."""
        import numpy as np

        try:
            return [values if isinstance(values, Blocks) else np.asarray(values) for values in listed]
        except Exception as error:  # ragged lists, tensors on a GPU, whatever __array__ may raise
            if exhausted(error):
                raise
            raise self._wrong(f"split {name!r} cannot be read as arrays: {error}") from None

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


def _shown(names: Iterable[Any]) -> str:
    return ", ".join(map(str, names)) or "none"


def _listed(inputs: Any) -> list[Any]:
    return list(inputs) if isinstance(inputs, tuple | list) else [inputs]
