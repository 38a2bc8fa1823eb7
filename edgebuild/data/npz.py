"""Arrays by name in an .npz, of one data set or of its splits, read array by array."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import Field

from edgebuild.data import _npz_seen, _splits
from edgebuild.data._npz_header import UNREADABLE, header
from edgebuild.data._npz_seen import USUAL_INPUTS, USUAL_LABELS
from edgebuild.data._splits import ALIASES, LABELLED, Share, cut
from edgebuild.spec import drawing, tasks
from edgebuild.spec.data import Data, DataRequest, Guess, Loaded
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.fields import Seed
from edgebuild.spec.names import suggest
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]

_KEY = "data.file"
Read = TypeVar("Read")
_BYTES = 2**24  # of an array that are read at a time


@dataclass(frozen=True, slots=True)
class Npz(Data):
    """Arrays `NAME`, or `NAME_train`, `NAME_test` and so on (or `train_NAME`): an input's name or x, a head's or y.

    Values are as the model takes them, but for uint8 pictures [N, h, w] or [N, h, w, c], which `[preprocess]` makes its
    input. Splits that do not come along are cut at random, in proportion to the classes, or by `group`. Labels may be
    the names of classes. An array `slice` names the slice of each (test) example.
    """

    file: Annotated[str, Field(description="from the model's folder, or absolute")]
    inputs: Annotated[tuple[str, ...], Field(description="names of the arrays, without that of a split")] = ()
    labels: Annotated[tuple[str, ...], Field(description="the same of the labels of each head")] = ()
    group: Annotated[
        str | None, Field(description="the array of what examples have in common (a person): never in two splits")
    ] = None
    test: Share = 0.2
    seed: Seed = 0

    prepares: ClassVar[bool] = True
    by_name: ClassVar[bool] = True

    @staticmethod
    def seen(place: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
        """An .npz of arrays; their types say what labels are, and whether inputs are pictures."""
        return _npz_seen.labelled(place, inputs) if place.suffix == ".npz" and place.is_file() else None

    def reads(self) -> Mapping[str, str]:
        """The file."""
        return {_KEY: self.file}

    def place(self, origin: str) -> tuple[str, str]:
        """The file, as model.toml names it."""
        return f"{origin}/model.toml", _KEY

    def load(self, request: DataRequest) -> Loaded:
        """Arrays by split; UsageError for a file that is no .npz, and for arrays that it lacks."""
        return Archive(self, request).loaded()


@dataclass(frozen=True, slots=True)
class Rows:
    """An array of an archive as Blocks, or the rows of it that a mask [N] names.

    `whole` is the array's own shape; `wrong` makes the error for what cannot be read.
    """

    file: Path
    name: str
    whole: tuple[int, ...]
    dtype: np.dtype[Any]
    wrong: Callable[[str], UsageError]
    mask: Values | None = None
    by_columns: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, …]."""
        count = self.whole[0] if self.mask is None else int(self.mask.sum())
        return (count, *self.whole[1:])

    def blocks(self) -> Iterator[Values]:
        """Read from the start to the end."""
        start = 0
        for block in self._read():
            kept = block if self.mask is None else block[self.mask[start : start + len(block)]]
            start += len(block)
            if len(kept):
                yield kept

    def place(self, row: int) -> str:
        """By the row of the whole array."""
        own = row if self.mask is None else int(self.mask.nonzero()[0][row])
        return f"row {own} of array {self.name!r}"

    def _read(self) -> Iterator[Values]:
        try:
            yield from self._stored()
        except UNREADABLE as error:
            raise self.wrong(f"array {self.name!r} cannot be read: {_first_line(error)}") from None

    def _stored(self) -> Iterator[Values]:
        import numpy as np

        row = max(int(np.prod(self.whole[1:])) * self.dtype.itemsize, 1)
        rows = max(_BYTES // row, 1)
        with zipfile.ZipFile(self.file) as archive, archive.open(f"{self.name}.npy") as stream:
            header(stream)
            for start in range(0, self.whole[0], rows):
                count = min(rows, self.whole[0] - start)
                data = stream.read(count * row)
                yield np.frombuffer(data, self.dtype).reshape(count, *self.whole[1:])


@dataclass(frozen=True, slots=True)
class Archive:
    """One loading of a file."""

    options: Npz
    request: DataRequest

    def inputs(self) -> tuple[Rows, ...]:
        """The inputs alone, all of their rows; UsageError as `Npz.load` has it."""
        return self._guarded(lambda: self._inputs(self._arrays(), ""))

    def loaded(self) -> Loaded:
        """All splits."""
        return self._guarded(self._loaded)

    def _guarded(self, read: Callable[[], Read]) -> Read:
        try:
            return read()
        except UNREADABLE as error:
            if exhausted(error):
                raise
            raise self._wrong(f"{self.options.file!r} is no .npz of named arrays: {_first_line(error)}") from None

    def _loaded(self) -> Loaded:
        known = self._arrays()
        labelled = [split for split in LABELLED if self._find(known, self._input_names(0), split) is not None]
        if labelled and "train" not in labelled:
            raise self._wrong(f"{self.options.file!r} has a split {labelled[0]!r} and none 'train'")
        splits: dict[str, Any] = {split: self._pair(known, split) for split in labelled}
        splits = splits or {"train": self._pair(known, "")}
        if self.options.group is not None:
            splits["groups"] = {split: self._group(known, split if labelled else "") for split in labelled or ["train"]}
        if (slices := self._find(known, ("slice",), "test" if "test" in splits else "")) is not None:
            splits["slices"] = slices
        missing, notes = [name for name in LABELLED if name not in splits], tuple[str, ...]()
        if missing:
            splits, notes = self._cut(splits)
        if self._find(known, self._input_names(0), "unlabelled") is not None:
            splits["unlabelled"] = self._inputs(known, "unlabelled")
        if "slices" in splits:
            splits["slices"] = _splits.masks(_whole(splits["slices"]).tolist())
        return Loaded(splits, "validation" in missing, notes)

    def _cut(self, splits: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """With the splits that are missing cut from the training examples."""
        inputs, labels = splits["train"]
        total = inputs[0].shape[0]
        if any(len(y) != total for y in labels.values()):
            return splits | {name: splits["train"] for name in LABELLED if name not in splits}, ()  # refused later
        heads = (head.name for head in self.request.heads if tasks.of(head).choice and labels[head.name].ndim == 1)
        first = next(heads, None)
        classes = None if first is None else labels[first]
        groups = splits["groups"]["train"] if "groups" in splits else None
        if groups is not None and groups.shape != (total,):
            message = f"{self.options.file!r} has groups {[*groups.shape]} for {total} examples"
            raise self._wrong(message, key="data.group")
        try:
            rows, note = cut(total, classes, splits, test=self.options.test, seed=self.options.seed, groups=groups)
        except ValueError as error:
            raise self._wrong(f"{self.options.file!r} {error}") from None
        masks = {name: drawing.mask(own, total) for name, own in rows.items()}
        parts = {
            name: (tuple(replace(x, mask=mask) for x in inputs), {head: y[mask] for head, y in labels.items()})
            for name, mask in masks.items()
        }
        if "slices" in splits and "test" in masks:
            if splits["slices"].shape[0] != total:
                message = (
                    f"array 'slice' of {self.options.file!r} has {splits['slices'].shape[0]} names for {total} examples"
                )
                raise self._wrong(message)
            parts["slices"] = replace(splits["slices"], mask=masks["test"])
        if groups is not None:
            parts["groups"] = splits["groups"] | {name: groups[own] for name, own in rows.items()}
        return splits | parts, (note,)

    def _arrays(self) -> dict[str, Rows]:
        """Every array that the file has, by name."""
        import numpy as np

        file, arrays = Path(self.request.reads[0].place), {}
        if not file.is_file():
            raise self._wrong(f"{self.options.file!r} is no file")
        with zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                name = member.removesuffix(".npy")
                with archive.open(member) as stream:
                    shape, fortran, dtype = header(stream)
                if shape:  # one number is no examples
                    arrays[name] = Rows(file, name, shape, np.dtype(dtype), self._wrong, by_columns=fortran)
        return arrays

    def _pair(self, known: Mapping[str, Rows], split: str) -> tuple[tuple[Rows, ...], dict[str, Values]]:
        labels = {head.name: self._labels(known, split, place) for place, head in enumerate(self.request.heads)}
        return self._inputs(known, split), labels

    def _inputs(self, known: Mapping[str, Rows], split: str) -> tuple[Rows, ...]:
        inputs = []
        for position, spec in enumerate(self.request.signature.inputs):
            rows = self._find(known, self._input_names(position), split)
            if rows is None:
                raise self._missing(known, f"input {spec.name!r}", self._input_names(position), split, "inputs")
            inputs.append(rows)
        return tuple(inputs)

    def _labels(self, known: Mapping[str, Rows], split: str, position: int) -> Values:
        """The labels of a head, all in memory; [N, 1] numbers of classes are [N], and so are their names."""
        head = self.request.heads[position]
        rows = self._find(known, self._label_names(position), split)
        if rows is None:
            raise self._missing(known, f"the labels of {head.name!r}", self._label_names(position), split, "labels")
        values = _whole(rows)
        values = values[:, 0] if tasks.of(head).choice and values.shape[1:] == (1,) else values
        return self._numbered(rows, values) if tasks.of(head).choice and values.dtype.kind in "US" else values

    def _numbered(self, rows: Rows, names: Values) -> Values:
        """The number of the class that each name [N] is of."""
        import numpy as np

        places, words = {name: place for place, name in enumerate(self.request.classes)}, _npz_seen.texts(names)
        if (row := next((row for row, word in enumerate(words) if word not in places), None)) is not None:
            message = f"{rows.place(row)} of {self.options.file!r} is {words[row]!r}, which is no class"
            raise self._wrong(message, hint=suggest(words[row], places))
        return np.array([places[word] for word in words], np.int64).reshape(names.shape)

    def _group(self, known: Mapping[str, Rows], split: str) -> Values:
        """What the examples of a split have in common, [N]."""
        own = str(self.options.group)
        rows = self._find(known, (own,), split)
        if rows is None:
            raise self._missing(known, "groups", (own,), split, "group")
        return _whole(rows)

    def _input_names(self, position: int) -> tuple[str, ...]:
        specs = self.request.signature.inputs
        if self.options.inputs:
            if len(self.options.inputs) != len(specs):
                message = f"names {len(self.options.inputs)} arrays, and the model has {len(specs)} inputs"
                raise self._wrong(message, key="data.inputs")
            return (self.options.inputs[position],)
        return (specs[position].name, *(USUAL_INPUTS if len(specs) == 1 else ()))

    def _label_names(self, position: int) -> tuple[str, ...]:
        heads = self.request.heads
        if self.options.labels:
            if len(self.options.labels) != len(heads):
                message = f"names {len(self.options.labels)} arrays, and the model has {len(heads)} heads"
                raise self._wrong(message, key="data.labels")
            return (self.options.labels[position],)
        return (heads[position].name, *(USUAL_LABELS if len(heads) == 1 else ()))

    def _find(self, known: Mapping[str, Rows], names: tuple[str, ...], split: str) -> Rows | None:
        """The first array that is called by one of these names in a split; "" is the data set as a whole. UsageError
        for one that is not read.
        """
        parts = [(f"{name}_{alias}", f"{alias}_{name}") for name in names for alias in ALIASES.get(split, ())]
        spelt = [text for pair in parts for text in pair] if split else [*names]
        rows = next((known[text] for text in spelt if text in known), None)
        if rows is not None and rows.dtype.hasobject:
            raise self._wrong(f"array {rows.name!r} of {self.options.file!r} holds Python objects, which may be code")
        if rows is not None and rows.by_columns and len(rows.whole) > 1:
            message = f"array {rows.name!r} of {self.options.file!r} is stored by columns (Fortran order)"
            raise self._wrong(message, hint="save numpy.ascontiguousarray of it")
        return rows

    def _missing(
        self, known: Mapping[str, Rows], what: str, names: tuple[str, ...], split: str, option: str
    ) -> UsageError:
        looked = ", ".join(f"{name}_{split}" if split else name for name in dict.fromkeys(names))
        message = (
            f"{self.options.file!r} has no array for {what} (looked for {looked}); it has {', '.join(known) or 'none'}"
        )
        return self._wrong(message, hint=f"name it with {option} = […] in [data]")

    def _wrong(self, reason: str, hint: str | None = None, key: str = _KEY) -> UsageError:
        return UsageError(reason, file=f"{self.request.origin}/model.toml", key=key, hint=hint)


def _whole(rows: Rows) -> Values:
    """An array in memory."""
    import numpy as np

    return np.concatenate([*rows.blocks(), np.empty((0, *rows.whole[1:]), rows.dtype)])


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
