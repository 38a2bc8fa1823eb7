"""Named columns, whatever file they lie in: they become inputs, the label, splits, groups and slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.data import _column_inputs, _sheet, _splits
from edgebuild.data._sheet import Sheet
from edgebuild.data._splits import ALIASES, LABELLED, Share, cut
from edgebuild.spec import drawing, tasks
from edgebuild.spec.data import Data, DataRequest, Loaded
from edgebuild.spec.fields import Seed
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.data._sheet import Cells, Wrong

    Values = np.ndarray[Any, Any]

Columns = Annotated[
    Mapping[str, tuple[str, ...]], Field(description="columns of each input; else all that are left, in order")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByColumn(Data):
    """What all such kinds of data declare; splits that do not come along are cut at random, in proportion to the
    classes, or by `group`.
    """

    label: Annotated[str, Field(description="the column of the label: a class by name or number, or a value")]
    columns: Columns = field(default_factory=dict)
    categories: Annotated[
        Mapping[str, tuple[str, ...]], Field(description="columns of words: each is its number in this list")
    ] = field(default_factory=dict)
    text: Annotated[str | None, Field(description="the column of texts that [preprocess] prepares")] = None
    split: Annotated[str | None, Field(description="the column that says train, validation or test")] = None
    slice: Annotated[str | None, Field(description="the column that names slices of the test split")] = None
    group: Annotated[
        str | None, Field(description="the column of what examples have in common (a person): never in two splits")
    ] = None
    test: Share = 0.2
    seed: Seed = 0

    prepares: ClassVar[bool] = True
    by_name: ClassVar[bool] = True

    def prepared(self) -> Mapping[str, str]:
        """The column that `[preprocess]` prepares, by its key."""
        return {} if self.text is None else {"text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class WithFiles(ByColumn):
    """Where a cell may hold a whole file."""

    picture: Annotated[str | None, Field(description="the column of pictures that [preprocess] prepares")] = None
    recording: Annotated[str | None, Field(description="the same of recordings")] = None

    def prepared(self) -> Mapping[str, str]:
        """The column that `[preprocess]` prepares, by its key."""
        columns = {"text": self.text, "picture": self.picture, "recording": self.recording}
        return {key: column for key, column in columns.items() if column is not None}


@dataclass(frozen=True, slots=True)
class Known:
    """A sheet of `total` rows with what memory holds of them: labels [N, …] (none where nobody labelled them), and
    words by the key that names their column.
    """

    sheet: Sheet
    total: int
    labels: Values | None
    words: Mapping[str, list[str]]

    def group(self, rows: Values) -> Values | None:
        """What these rows have in common, [n]."""
        import numpy as np

        return np.array(self.words["group"])[rows] if "group" in self.words else None


Chosen = dict[str, tuple[Known, "Values"]]  # the rows of each split, and whose they are


@dataclass(frozen=True, slots=True)
class Loading:
    """One loading of sheets by split, or of one, "train", that has them all."""

    options: ByColumn
    request: DataRequest
    sheets: Mapping[str, Sheet]
    wrong: Wrong
    notes: tuple[str, ...] = ()

    def loaded(self) -> Loaded:
        """Rows by split; UsageError for columns that are not there, and for what is no number, with its row."""
        if len(self.request.heads) != 1:
            raise self.wrong("has one label, which is for a model of one head", key="data.label")
        if self.options.split is not None and len(self.sheets) > 1:
            raise self.wrong("is a column of data that comes in one piece", key="data.split")
        known = {split: self._known(split, sheet) for split, sheet in self.sheets.items()}
        chosen, cut_here, notes = self._splits(known)
        splits: dict[str, Any] = {}
        for split, (part, rows) in chosen.items():
            assert part.labels is not None  # of the splits with labels
            splits[split] = (self._inputs(part, rows), part.labels[rows])
        if (rest := known.get("unlabelled")) is not None:
            splits["unlabelled"] = self._inputs(rest, _all(rest))
        if self.options.group is not None:
            splits["groups"] = {split: part.group(rows) for split, (part, rows) in chosen.items()}
        if self.options.slice is not None:
            part, rows = chosen["test"]
            splits["slices"] = _splits.masks([part.words["slice"][row] for row in rows])
        return Loaded(splits, cut_here, (*self.notes, *notes))

    def _known(self, split: str, sheet: Sheet) -> Known:
        """The columns that are no inputs, whole."""
        own = self.options
        label = own.label if split != "unlabelled" else None
        declared = {"label": label, "split": own.split, "slice": own.slice, "group": own.group}
        named = {key: column for key, column in declared.items() if column is not None}
        for key, column in named.items():
            _sheet.present(sheet, column, self.wrong, f"data.{key}")
        columns = [*named.values()] or [*sheet.columns][:1]  # one at least, which says how many rows there are
        cells = _sheet.whole(sheet, columns)
        if not len(cells[0]):
            raise self.wrong(f"{sheet.name} has no rows")
        known = dict(zip(named, cells, strict=False))
        labels = self._labels(sheet, known.pop("label")) if "label" in known else None
        return Known(sheet, len(cells[0]), labels, {key: _sheet.words(each) for key, each in known.items()})

    def _labels(self, sheet: Sheet, cells: Cells) -> Values:
        """Numbers of classes, int64 [N], or of another task its values [N, …]."""
        import numpy as np

        column, classes, rows = self.options.label, self.request.classes, np.arange(len(cells))
        if not tasks.of(self.request.heads[0]).choice:
            values = _sheet.numbers(sheet, column, cells, rows, self.wrong)
            return (values[:, None] if values.ndim == 1 else values).astype(np.float32)
        names = sheet.classes(column)
        if isinstance(cells, np.ndarray):
            if not {*names} & {*classes}:
                return self._whole(sheet, cells)
            cells = [names[one] if 0 <= one < len(names) else str(one) for one in cells.tolist()]
        if not {*cells} & {*classes}:
            return self._whole(sheet, _sheet.numbers(sheet, column, cells, rows, self.wrong))
        return _sheet.chosen(sheet, column, cells, rows, classes, self.wrong)

    def _whole(self, sheet: Sheet, values: Values) -> Values:
        import numpy as np

        if values.ndim > 1:  # a mark for each class, which its task looks at
            return values
        odd = np.flatnonzero(~(values == np.rint(values)))  # NaN is one
        if len(odd):
            message = f"{sheet.place(odd[0])} has the class {values[odd[0]]}, and classes have names or whole numbers"
            raise self.wrong(message, key="data.label")
        return values.astype(np.int64)

    def _splits(self, known: Mapping[str, Known]) -> tuple[Chosen, bool, tuple[str, ...]]:
        """The rows of each split with labels, whether validation was cut, and a line on what was."""
        if self.options.split is not None:
            chosen: Chosen = {split: (known["train"], rows) for split, rows in self._named(known["train"]).items()}
        else:
            chosen = {split: (part, _all(part)) for split, part in known.items() if split in LABELLED}
        if "train" not in chosen:
            raise self.wrong(f"{next(iter(self.sheets.values())).name} has no row of the split 'train'")
        missing = [split for split in LABELLED if split not in chosen]
        if not missing:
            return chosen, False, ()
        part, train = chosen["train"]
        assert part.labels is not None  # of the split "train"
        classes = part.labels[train] if part.labels.ndim == 1 else None
        shares = {"test": self.options.test, "seed": self.options.seed, "groups": part.group(train)}
        try:
            parts, note = cut(len(train), classes, chosen, **shares)  # type: ignore[arg-type]
        except ValueError as error:
            raise self.wrong(f"{part.sheet.name} {error}") from None
        return chosen | {split: (part, train[own]) for split, own in parts.items()}, "validation" in missing, (note,)

    def _named(self, known: Known) -> dict[str, Values]:
        """Rows of the splits that a column names."""
        import numpy as np

        rows: dict[str, list[int]] = {}
        names = {alias: split for split in LABELLED for alias in ALIASES[split]}
        for row, text in enumerate(known.words["split"]):
            if text not in names:
                raise self.wrong(f"{known.sheet.place(row)} is in no split: {text!r}", suggest(text, names))
            rows.setdefault(names[text], []).append(row)
        return {split: np.array(own) for split, own in rows.items()}

    def _inputs(self, known: Known, rows: Values) -> tuple[Any, ...]:
        columns = _column_inputs.Inputs(
            self.request, known.sheet, self.options.columns, self.options.categories, self.wrong
        )
        used = {self.options.label, self.options.split, self.options.slice, self.options.group}
        return columns.picked(self.options.prepared(), used, drawing.mask(rows, known.total))


def _all(known: Known) -> Values:
    import numpy as np

    return np.arange(known.total)
