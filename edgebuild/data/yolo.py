"""Pictures with boxes as YOLO has them: `images/` and `labels/` side by side, a text file for each picture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from edgebuild.data import _boxes
from edgebuild.data._boxes import Drawn, Row
from edgebuild.data._splits import ALIASES, LABELLED, Share
from edgebuild.data.images import pictures_below
from edgebuild.spec import boxes
from edgebuild.spec.data import Data, DataRequest, Guess, Loaded
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.signature import TensorSpec

_KEY = "data.folder"
# The names in a data.yaml, in the three ways in which exporters write them: [a, b], "- a" and "0: a", a line each.
_YAML_LIST = re.compile(r"^names:\s*\[(?P<all>[^\]]*)\]", re.MULTILINE)
_YAML_ITEM = re.compile(r"^\s*(?:- |\d+:\s*)(?P<name>\S.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Yolo(Data):
    """`folder/images/*.jpg` with `folder/labels/*.txt`; or `images/train`, `labels/train` and so on; or `train/images`,
    `train/labels` and so on.

    A line is `class x y width height`, the centre and the size as shares of the picture; a picture without a file has
    no boxes.
    """

    folder: Annotated[str, Field(description="from the model's folder, or absolute")]
    test: Share = 0.2
    seed: Seed = 0

    prepares: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("pillow",)
    extra: ClassVar[str | None] = "images"

    @staticmethod
    def seen(place: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
        """Folders 'images' and 'labels' side by side, with names of classes in a file where somebody wrote it."""
        folders = split_folders(place) if place.is_dir() else {}
        if "train" not in folders:
            return None
        files = [file for _, labels in folders.values() for file in labels.rglob("*.txt")]
        kinds = {line.split()[0] for file in files for line in file.open() if line.strip()}
        count = max((int(kind) + 1 for kind in kinds if kind.isdigit()), default=0)
        known, order = _names(place)
        what = "pictures with boxes (YOLO)"
        return Guess(what, {"folder": place}, "detection", known, order, count, pictures=True, sure=3)

    def reads(self) -> Mapping[str, str]:
        """The folder."""
        return {_KEY: self.folder}

    def place(self, origin: str) -> tuple[str, str]:
        """The folder, as model.toml names it."""
        return f"{origin}/model.toml", _KEY

    def load(self, request: DataRequest) -> Loaded:
        """Pictures by split; UsageError for a folder of another layout, and for lines that are no boxes."""
        places = split_folders(Path(request.reads[0].place))
        if not places:
            message = f"{self.folder!r} has no folders 'images' and 'labels'"
            raise UsageError(message, file=f"{request.origin}/model.toml", key=_KEY)
        splits = {
            split: [
                _boxes.Annotated(file, self._rows(request, labels / file.relative_to(images)))
                for file in pictures_below(images)
            ]
            for split, (images, labels) in places.items()
        }
        return Drawn(request, _KEY, splits, self.test, self.seed).loaded()

    def _rows(self, request: DataRequest, picture: Path) -> list[Row]:
        file = picture.with_suffix(".txt")
        rows = []
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines() if file.is_file() else [], 1):
            try:
                kind, x, y, wide, high = map(float, line.split())
            except ValueError:
                message = f"{file.name!r} line {number} is no box: {line!r} (class x y width height)"
                raise UsageError(message, file=f"{request.origin}/model.toml", key=_KEY) from None
            rows.append(boxes.from_centre(kind, (x, y, wide, high)))
        return rows


def split_folders(top: Path) -> dict[str, tuple[Path, Path]]:
    """Pictures and labels of each split, in either order of the folders' names; {} for a folder of another layout."""
    images, labels = top / "images", top / "labels"
    named = [(split, alias) for split in LABELLED for alias in ALIASES[split]]
    if images.is_dir() and labels.is_dir():
        pairs = {split: (images / alias, labels / alias) for split, alias in named if (images / alias).is_dir()}
        return pairs or {"train": (images, labels)}
    places = {split: top / alias for split, alias in named if (top / alias / "images").is_dir()}
    return {split: (place / "images", place / "labels") for split, place in places.items()}


def _names(top: Path) -> tuple[tuple[str, ...], str]:
    """The names of classes as a file beside the folders has them, and what their order is called."""
    file = next((top / name for name in ("classes.txt", "obj.names", "data.yaml") if (top / name).is_file()), None)
    if file is None:
        return (), ""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".yaml":
        return tuple(line.strip() for line in text.splitlines() if line.strip()), f"lines of {file.name}"
    names = _YAML_LIST.search(text)
    items = _YAML_ITEM.finditer(text.partition("names:")[2])
    each = names["all"].split(",") if names else [one["name"] for one in items]
    return tuple(one.strip().strip("'\"") for one in each if one.strip()), f"names in {file.name}"
