"""Recordings of sensors in files, cut into windows: those of one person, or of one recording, stay together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge
from pydantic import Field

from edgebuild.data import _recordings, _seen, _sheet, _splits, _windows_seen
from edgebuild.data._arrays import Arrays
from edgebuild.data._arrow import Arrow
from edgebuild.data._recordings import Cut
from edgebuild.data._recordings import Windows as Pieces
from edgebuild.data._sheet import Sheet
from edgebuild.data._splits import ALIASES, LABELLED, Share, cut
from edgebuild.data.table import Lines
from edgebuild.spec import drawing, tasks
from edgebuild.spec.data import Data, DataRequest, Guess, Loaded
from edgebuild.spec.fields import Seed
from edgebuild.spec.names import suggest
from edgebuild.spec.preprocess import WindowInput
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.data._sheet import Wrong

    Values = np.ndarray[Any, Any]

KEY = "data.files"
ENDINGS = (".csv", ".tsv", ".parquet", ".npz")


@dataclass(frozen=True, slots=True)
class Windows(Data):
    """Files of samples, a row each, whose columns `[preprocess]` names; what begins and ends a recording is a file, and
    a change of `recording`, `group`, `split` or of a class. Windows do not reach over either.
    """

    files: Annotated[str, Field(description="file, folder or pattern, from the model's folder, or absolute")]
    stride: Annotated[int, Ge(1), Field(description="samples between the beginnings of two windows")]
    label: Annotated[
        str | None, Field(description="column of the label; none: the folders of files are classes, folder/CLASS/*")
    ] = None
    recording: Annotated[str | None, Field(description="column that is another in another recording")] = None
    group: Annotated[
        str | None, Field(description="column of who was recorded: nobody is in two splits; none: no recording is")
    ] = None
    split: Annotated[str | None, Field(description="column that says train, validation or test")] = None
    slice: Annotated[str | None, Field(description="column that names slices of the test split")] = None
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    test: Share = 0.2
    seed: Seed = 0

    prepares: ClassVar[bool] = True
    by_name: ClassVar[bool] = True

    @staticmethod
    def seen(place: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
        """Files of samples, whose columns are as many as one axis of the input; along the other is time."""
        files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
        files = [path for path in files if path.suffix.lower() in ENDINGS]
        if place.suffix == ".npz":  # what one file of arrays has are examples
            return None
        wrong = _seen.wrong(place)
        return _windows_seen.windows([_opened(path, path.name, ",", wrong) for path in files], place, files, inputs)

    def reads(self) -> Mapping[str, str]:
        """The files."""
        return {KEY: self.files}

    def place(self, origin: str) -> tuple[str, str]:
        """The files, as model.toml names them."""
        return f"{origin}/model.toml", KEY

    def load(self, request: DataRequest) -> Loaded:
        """Windows by split; UsageError for files without these columns, and for recordings of no window."""
        return _Loading(self, request, request.wrong(KEY)).loaded()


@dataclass(frozen=True, slots=True)
class _Loading:
    """One loading of all files."""

    options: Windows
    request: DataRequest
    wrong: Wrong

    def loaded(self) -> Loaded:
        import numpy as np

        how = self.request.preprocess
        if not isinstance(how, WindowInput):
            raise self.wrong('says what a window is (kind = "window"), and is missing', key="preprocess")
        if len(self.request.heads) != 1 or len(self.request.signature.inputs) != 1:
            raise self.wrong("has windows with a label each, which is for a model of one input and one head")
        sheets = self._sheets(how)
        cuts = {path: self._cut(sheet, path, how) for path, sheet in sheets.items()}
        words = {key: [word for each in cuts.values() for word in each.words[key]] for key in self._keys}
        files = [(sheets[path], each.starts) for path, each in cuts.items()]
        if not words["group"]:
            raise self.wrong(f"{self.options.files!r} has no recording of {how.length} samples, which one window needs")
        labels, groups = self._labels(words["label"]), np.array(words["group"])
        rows, cut_here, notes = self._splits(words, labels, groups)
        splits: dict[str, Any] = {
            split: (Pieces(_recordings.taken(files, drawing.mask(own, len(labels))), how, self.wrong), labels[own])
            for split, own in rows.items()
        }
        splits["groups"] = {split: groups[own] for split, own in rows.items()}
        if self.options.slice is not None:
            splits["slices"] = _splits.masks([words["slice"][row] for row in rows["test"]])
        counts = (
            f"{len(labels)} windows of {len({*groups.tolist()})} {'groups' if self.options.group else 'recordings'}"
        )
        return Loaded(splits, cut_here, (f"{counts} in {len(sheets)} files", *notes))

    @property
    def _keys(self) -> tuple[str, ...]:
        return ("label", "group", "split", *(("slice",) if self.options.slice is not None else ()))

    @property
    def _columns(self) -> dict[str, str]:
        own = self.options
        named = {"label": own.label, "recording": own.recording, "group": own.group}
        more = {"split": own.split, "slice": own.slice}
        return {key: column for key, column in (named | more).items() if column is not None}

    def _sheets(self, how: WindowInput) -> dict[Path, Sheet]:
        """Every file, with the columns that are named."""
        read = self.request.reads[0]
        top = Path(read.place)
        paths = [path for path in read.files() if path.suffix.lower() in ENDINGS]
        if not paths:
            raise self.wrong(f"{self.options.files!r} has no files that end in {', '.join(ENDINGS)}")
        shown = {path: (path.relative_to(top) if top.is_dir() else Path(path.name)).as_posix() for path in paths}
        sheets = {path: _opened(path, shown[path], self.options.separator, self.wrong) for path in paths}
        for sheet in sheets.values():
            for name in how.signals:
                _sheet.present(sheet, name, self.wrong, "preprocess.signals")
            for key, column in self._columns.items():
                _sheet.present(sheet, column, self.wrong, f"data.{key}")
        return sheets

    def _cut(self, sheet: Sheet, path: Path, how: WindowInput) -> Cut:
        """The windows of a file, with a label, a group and perhaps a split each."""
        columns, choice = self._columns, tasks.of(self.request.heads[0]).choice
        steady = [key for key in ("recording", "group", "split", *(["label"] if choice else [])) if key in columns]
        windows = _recordings.cut(sheet, columns, steady, how.length, self.options.stride)
        words, count = dict(windows.words), len(windows.starts)
        place = self._place(path)
        if "group" not in words:
            words["group"] = [f"{place.as_posix()} {own}" for own in words.get("recording", [""] * count)]
        if "label" not in words:
            words["label"] = [place.parent.name] * count
        if "split" not in words:
            words["split"] = [place.parts[0]] * count
        return Cut(windows.starts, words)

    def _place(self, path: Path) -> Path:
        """Of a file below what is named."""
        top = Path(self.request.reads[0].place)
        return path.relative_to(top) if top.is_dir() else Path(path.parent.name, path.name)

    def _labels(self, texts: list[str]) -> Values:
        """Numbers of classes, int64 [N], or values, float32 [N, 1]."""
        import numpy as np

        classes = self.request.classes
        try:
            if not tasks.of(self.request.heads[0]).choice:
                return np.array(texts, np.float32)[:, None]
            if not {*texts} & {*classes}:
                return np.array(texts, np.int64)
        except ValueError:
            odd = next(text for text in texts if not text.lstrip("-").replace(".", "", 1).isdigit())
            raise self.wrong(f"{odd!r} is a label of no class", suggest(odd, classes), "data.label") from None
        if unknown := next((text for text in texts if text not in classes), None):
            raise self.wrong(f"{unknown!r} is a label of no class", suggest(unknown, classes), "data.label")
        return np.array([classes.index(text) for text in texts], np.int64)

    def _splits(
        self, words: Mapping[str, list[str]], labels: Values, groups: Values
    ) -> tuple[dict[str, Values], bool, tuple[str, ...]]:
        """Rows of each split, whether validation was cut, and a line on what was."""
        import numpy as np

        known = {alias: split for split in LABELLED for alias in ALIASES[split]}
        rows: dict[str, Values] = {"train": np.arange(len(labels))}
        if self.options.split is not None or {*words["split"]} <= {*known}:
            if unknown := next((text for text in words["split"] if text not in known), None):
                raise self.wrong(f"there is no split {unknown!r}", suggest(unknown, known), "data.split")
            own = np.array([known[text] for text in words["split"]])
            rows = {split: np.flatnonzero(own == split) for split in LABELLED if (own == split).any()}
        if "train" not in rows:
            raise self.wrong("has no window of the split 'train'", key="data.split")
        missing = [split for split in LABELLED if split not in rows]
        if not missing:
            return rows, False, ()
        train = rows["train"]
        classes = labels[train] if labels.ndim == 1 else None
        try:
            parts, note = cut(
                len(train), classes, rows, test=self.options.test, seed=self.options.seed, groups=groups[train]
            )
        except ValueError as error:
            hint = "name a column of splits, or of what tells people or recordings apart"
            raise self.wrong(f"{self.options.files!r} {error}", hint) from None
        return rows | {split: train[own] for split, own in parts.items()}, "validation" in missing, (note,)


def _opened(path: Path, shown: str, separator: str, wrong: Wrong) -> Sheet:
    """A file by its ending."""
    if path.suffix.lower() == ".npz":
        return Arrays(repr(shown), path, wrong)
    if path.suffix.lower() == ".parquet":
        return Arrow(repr(shown), (path,), wrong)
    return Lines(repr(shown), path, separator, wrong)
