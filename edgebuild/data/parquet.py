"""Rows of Parquet files, columns as those of a table; lists, pictures and recordings in a column as well."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from edgebuild.data import _seen
from edgebuild.data._arrow import EXTRA, REQUIRES, Arrow
from edgebuild.data._columns import Loading, WithFiles
from edgebuild.data._splits import ALIASES
from edgebuild.spec.data import DataRequest, Guess, Loaded
from edgebuild.spec.signature import TensorSpec

_KEY = "data.file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parquet(WithFiles):
    """A file, a folder, or a pattern; files whose names begin with a split (`train-00000.parquet`) are of that."""

    file: Annotated[str, Field(description="file, folder or pattern, from the model's folder, or absolute")]

    requires: ClassVar[tuple[str, ...]] = REQUIRES
    extra: ClassVar[str | None] = EXTRA

    @staticmethod
    def seen(place: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
        """A file, or a folder of such files."""
        files = [place] if place.suffix == ".parquet" and place.is_file() else sorted(place.rglob("*.parquet"))
        if not files:
            return None
        own = (by_split(files) if place.is_dir() else {"train": files}).get("train", files)
        sheet = Arrow(repr(place.name), tuple(own), _seen.wrong(place))
        return _seen.table(sheet, inputs, {"file": place}, "Parquet", sheet.files_of)

    def reads(self) -> Mapping[str, str]:
        """The files."""
        return {_KEY: self.file}

    def place(self, origin: str) -> tuple[str, str]:
        """The file, as model.toml names it."""
        return f"{origin}/model.toml", _KEY

    def load(self, request: DataRequest) -> Loaded:
        """Rows by split; UsageError for columns that are not there, and for what is no Parquet file."""
        wrong, read = request.wrong(_KEY), request.reads[0]
        whole = Path(read.place).is_file()
        files = [path for path in read.files() if whole or path.suffix == ".parquet"]
        if not files:
            raise wrong(f"{self.file!r} has no .parquet files")
        several = by_split(files) if not whole else {"train": files}
        shown = {split: repr(self.file) if len(several) == 1 else f"{self.file!r} ({split})" for split in several}
        sheets = {split: Arrow(shown[split], tuple(own), wrong) for split, own in several.items()}
        return Loading(self, request, sheets, wrong).loaded()


def by_split(files: Sequence[Path]) -> Mapping[str, Sequence[Path]]:
    """Files by the split that their names, or those of their folders, begin with; all as one where any has none."""
    aliases = {alias: split for split, names in ALIASES.items() for alias in names}
    splits: dict[str, list[Path]] = {}
    for path in files:
        words = (re.split(r"[-_.]", path.name)[0], path.parent.name)
        split = next((aliases[word] for word in words if word in aliases), None)
        if split is None:
            return {"train": files}
        splits.setdefault(split, []).append(path)
    return splits
