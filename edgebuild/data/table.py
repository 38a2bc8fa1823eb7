"""Rows of a CSV or TSV file: columns are inputs, the label, and perhaps the split and the slice of a row."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.data import _splits, _texts
from edgebuild.data._splits import ALIASES, LABELLED, Share, cut
from edgebuild.spec import tasks
from edgebuild.spec.data import Asked, Data, Loaded
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]

_KEY = "data.file"
Column = list[str]


@dataclass(frozen=True, slots=True)
class Table(Data):
    """A file whose first line names its columns; .tsv is split at tabs, any other at `separator`.

    With `[preprocess]` of texts, the column `text` becomes the model's inputs. Splits that do not come along are cut at
    random, in proportion to the classes.
    """

    file: Annotated[str, Field(description="from the model's folder, or absolute")]
    label: Annotated[str, Field(description="the column of the label: a class by name or number, or a value")]
    columns: Annotated[
        Mapping[str, tuple[str, ...]], Field(description="columns of each input; else all that are left, in order")
    ] = field(default_factory=dict)
    categories: Annotated[
        Mapping[str, tuple[str, ...]], Field(description="columns of words: each is its number in this list")
    ] = field(default_factory=dict)
    text: Annotated[str | None, Field(description="the column of texts that [preprocess] prepares")] = None
    split: Annotated[str | None, Field(description="the column that says train, validation or test")] = None
    slice: Annotated[str | None, Field(description="the column that names slices of the test split")] = None
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    test: Share = 0.2
    seed: Seed = 0

    prepares: ClassVar[bool] = True
    by_name: ClassVar[bool] = True

    def reads(self) -> Mapping[str, str]:
        """The file."""
        return {_KEY: self.file}

    def place(self, origin: str) -> tuple[str, str]:
        """The file, as model.toml names it."""
        return f"{origin}/model.toml", _KEY

    def load(self, asked: Asked) -> Loaded:
        """Rows by split; UsageError for columns that are not there, and for what is no number, with its line."""
        return _Rows(self, asked).loaded()


@dataclass(frozen=True, slots=True)
class _Rows:
    """One loading of a file."""

    options: Table
    asked: Asked

    def loaded(self) -> Loaded:
        import numpy as np

        if len(self.asked.heads) != 1:
            raise self._wrong("has one label, which is for a model of one head", key="data.label")
        table = self._read()
        labels, inputs = self._labels(table), self._inputs(table)
        rows, notes = self._splits(table, labels)
        splits: dict[str, Any] = {
            name: (tuple(values[own] for values in inputs), labels[own]) for name, own in rows.items()
        }
        if self.options.slice is not None:
            names = np.array(self._column(table, self.options.slice, "data.slice"))
            splits["slices"] = _splits.masks(names[rows["test"]].tolist())
        cut_here = self.options.split is None or "validation" not in self._named(table)
        return Loaded(splits, cut_here, notes)

    def _read(self) -> dict[str, Column]:
        """Every column by its name."""
        path = Path(self.asked.reads[0].place)
        tab = "\t" if path.suffix.lower() == ".tsv" else self.options.separator
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                names, *lines = csv.reader(file, delimiter=tab)
        except (OSError, ValueError, csv.Error) as error:
            raise self._wrong(f"{self.options.file!r} is no table that can be read: {error}") from None
        for number, line in enumerate(lines, 2):
            if len(line) != len(names):
                told = f"{self.options.file!r} line {number} has {len(line)} columns, the first line {len(names)}"
                raise self._wrong(told)
        if not lines:
            raise self._wrong(f"{self.options.file!r} has no rows")
        return {name: [line[place] for line in lines] for place, name in enumerate(names)}

    def _column(self, table: Mapping[str, Column], name: str, key: str) -> Column:
        if name not in table:
            raise self._wrong(f"{self.options.file!r} has no column {name!r}", suggest(name, table), key)
        return table[name]

    def _labels(self, table: Mapping[str, Column]) -> Values:
        """Numbers of classes, int64 [N], or values, float32 [N, 1]."""
        import numpy as np

        texts, classes = self._column(table, self.options.label, "data.label"), self.asked.classes
        if not tasks.of(self.asked.heads[0]).choice:
            return self._numbers(self.options.label, texts)[:, None]
        if not {*texts} & {*classes}:
            return self._numbers(self.options.label, texts).astype(np.int64)
        return self._chosen(self.options.label, texts, classes)

    def _inputs(self, table: Mapping[str, Column]) -> tuple[Values, ...]:
        import numpy as np

        if self.options.text is not None:
            texts = self._column(table, self.options.text, "data.text")
            return _texts.inputs(texts, self.asked, lambda reason, key: self._wrong(reason, key=key))
        specs, used = self.asked.signature.inputs, {self.options.label, self.options.split, self.options.slice}
        columns = self.options.columns
        if not columns and len(specs) == 1:
            columns = {specs[0].name: tuple(name for name in table if name not in used)}
        inputs = []
        for spec in specs:
            if spec.name not in columns:
                raise self._wrong(f"names no columns for the input {spec.name!r}", key="data.columns")
            values = np.stack([self._values(table, name) for name in columns[spec.name]], 1)
            if values.shape[1:] != spec.shape and values[0].size == np.prod(spec.shape):
                values = values.reshape(-1, *spec.shape)
            inputs.append(values if spec.dtype.startswith("float") else values.astype(spec.dtype))
        return tuple(inputs)

    def _values(self, table: Mapping[str, Column], name: str) -> Values:
        import numpy as np

        texts = self._column(table, name, "data.columns")
        if name in self.options.categories:
            return self._chosen(name, texts, self.options.categories[name]).astype(np.float32)
        return self._numbers(name, texts)

    def _numbers(self, name: str, texts: Sequence[str]) -> Values:
        import numpy as np

        values = np.empty(len(texts), np.float32)
        for row, text in enumerate(texts):
            try:
                values[row] = float(text)
            except ValueError:
                told = f"{self.options.file!r} line {row + 2} has {text!r} in column {name!r}, which is no number"
                hint = f"name its words: categories = {{{name} = [...]}}"
                raise self._wrong(told, hint) from None
        return values

    def _chosen(self, name: str, texts: Sequence[str], known: Sequence[str]) -> Values:
        import numpy as np

        numbers = {word: number for number, word in enumerate(known)}
        for row, text in enumerate(texts):
            if text not in numbers:
                told = f"{self.options.file!r} line {row + 2} has {text!r} in column {name!r}"
                raise self._wrong(told, suggest(text, known))
        return np.array([numbers[text] for text in texts], np.int64)

    def _named(self, table: Mapping[str, Column]) -> dict[str, list[int]]:
        """Rows of the splits that a column names."""
        rows: dict[str, list[int]] = {}
        if self.options.split is None:
            return rows
        known = {alias: split for split in LABELLED for alias in ALIASES[split]}
        for row, text in enumerate(self._column(table, self.options.split, "data.split")):
            if text not in known:
                raise self._wrong(
                    f"{self.options.file!r} line {row + 2} is in no split: {text!r}", suggest(text, known)
                )
            rows.setdefault(known[text], []).append(row)
        return rows

    def _splits(self, table: Mapping[str, Column], labels: Values) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Rows of each split, and what was cut."""
        import numpy as np

        named: dict[str, Any] = {name: np.array(rows) for name, rows in self._named(table).items()}
        if {*LABELLED} <= {*named}:
            return named, ()
        train = named.get("train", np.arange(len(labels)))
        if named and "train" not in named:
            raise self._wrong(f"{self.options.file!r} has no row of the split 'train'", key="data.split")
        classes = labels[train] if labels.ndim == 1 else None
        try:
            parts, note = cut(len(train), classes, named, test=self.options.test, seed=self.options.seed)
        except ValueError as error:
            raise self._wrong(f"{self.options.file!r} {error}") from None
        return named | {name: train[rows] for name, rows in parts.items()}, (note,)

    def _wrong(self, reason: str, hint: str | None = None, key: str = _KEY) -> UsageError:
        return UsageError(reason, file=f"{self.asked.origin}/model.toml", key=key, hint=hint)
