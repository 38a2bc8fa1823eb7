"""A folder that Hugging Face's `datasets` wrote (`save_to_disk`): Arrow streams, read in place, without the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.data import _seen
from edgebuild.data._arrow import EXTRA, REQUIRES, Arrow
from edgebuild.data._columns import Loading, WithFiles
from edgebuild.data._splits import ALIASES
from edgebuild.spec.data import DataRequest, Guess, Loaded
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    from edgebuild.data._sheet import Wrong

KEY = "data.folder"
STATE, DICTIONARY = "state.json", "dataset_dict.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Datasets(WithFiles):
    """A `Dataset` or `DatasetDict`; of the latter, splits of other names than ours are left out, and noted."""

    folder: Annotated[str, Field(description="from the model's folder, or absolute")]

    requires: ClassVar[tuple[str, ...]] = REQUIRES
    extra: ClassVar[str | None] = EXTRA

    @staticmethod
    def seen(place: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
        """A folder of save_to_disk."""
        if not (place / STATE).is_file() and not (place / DICTIONARY).is_file():
            return None
        wrong = _seen.wrong(place)
        folders, _ = splits(place, place.name, wrong)
        sheet = _sheet(folders.get("train", place), repr(place.name), wrong)
        return _seen.table(sheet, inputs, {"folder": place}, "a data set of datasets", sheet.files_of, sure=3)

    def reads(self) -> Mapping[str, str]:
        """The folder."""
        return {KEY: self.folder}

    def place(self, origin: str) -> tuple[str, str]:
        """The folder, as model.toml names it."""
        return f"{origin}/model.toml", KEY

    def load(self, request: DataRequest) -> Loaded:
        """Rows by split; UsageError for columns that are not there, and for what `datasets` did not write."""
        wrong, top = request.wrong(KEY), Path(request.reads[0].place)
        folders, notes = splits(top, self.folder, wrong)
        sheets = {split: _sheet(place, self._shown(place, top), wrong) for split, place in folders.items()}
        return Loading(self, request, sheets, wrong, notes).loaded()

    def _shown(self, place: Path, top: Path) -> str:
        return repr(self.folder) if place == top else repr(f"{self.folder}/{place.name}")


def splits(top: Path, shown: str, wrong: Wrong) -> tuple[dict[str, Path], tuple[str, ...]]:
    """The folder of each split, and a line on those that are left out; UsageError for a folder that is neither."""
    if (top / STATE).is_file():
        return {"train": top}, ()
    if not (top / DICTIONARY).is_file():
        raise wrong(f"{shown!r} is no folder of save_to_disk: it has neither {STATE} nor {DICTIONARY}")
    names = _json(top / DICTIONARY, wrong).get("splits")
    if not isinstance(names, list) or not all(_is_split(top, name) for name in names):
        raise wrong(f"{shown!r} has a {DICTIONARY} that does not name its splits")
    aliases = {alias: split for split, own in ALIASES.items() for alias in own}
    others = [name for name in names if name not in aliases]
    if len(others) == len(names):
        raise wrong(f"{shown!r} has the splits {', '.join(names)}, of which none is train, validation or test")
    notes = (f"splits of the data that have no use here are left out: {', '.join(others)}",) if others else ()
    return {aliases[name]: top / name for name in names if name in aliases}, notes


def _is_split(top: Path, name: object) -> bool:
    return isinstance(name, str) and Path(name).name == name and (top / name / STATE).is_file()


def _sheet(folder: Path, shown: str, wrong: Wrong) -> Arrow:
    """The streams of a data set, in order; UsageError for one whose rows are chosen by a file of their own."""
    state = _json(folder / STATE, wrong)
    if state.get("_indices_data_files"):
        hint = "save flatten_indices() of it"
        raise wrong(f"{shown} is a selection of rows by a file of indices, which is not read", hint)
    try:
        names = [str(each["filename"]) for each in state["_data_files"]]
    except (KeyError, TypeError):
        raise wrong(f"{shown} has a {STATE} that does not name its files") from None
    files = [folder / name for name in names]
    for name, path in zip(names, files, strict=True):
        if path.parent.resolve() != folder.resolve() or not path.is_file():
            raise wrong(f"{shown} names {name!r}, which is not in the folder")
    return Arrow(shown, tuple(files), wrong)


def _json(path: Path, wrong: Wrong) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise wrong(f"{path.name} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise wrong(f"{path.name} is no object of JSON")
    return content
