"""Pictures with boxes as COCO has them: a folder of pictures, and a JSON file of annotations for each split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.data import _boxes, _coco_seen
from edgebuild.data._boxes import Drawn, Row
from edgebuild.data._splits import Share
from edgebuild.spec import boxes
from edgebuild.spec.data import Data, DataRequest, Guess, Loaded
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.names import suggest
from edgebuild.spec.signature import TensorSpec

_KEY = "data.train"


@dataclass(frozen=True, slots=True)
class Coco(Data):
    """`train` and perhaps `validation` and `test` are files like instances_train2017.json; crowds are left out.

    Categories are the model's `labels` by name; where none is, they are numbered in the order of their ids.
    """

    folder: Annotated[str, Field(description="of the pictures that the files name; from the model's, or absolute")]
    train: Annotated[str, Field(description="file of annotations, from the model's folder, or absolute")]
    validation: str | None = None
    held_out: Annotated[str | None, Field(description="annotations of the test split; else some are cut for it")] = None
    test: Share = 0.2
    seed: Seed = 0

    prepares: ClassVar[bool] = True
    by_name: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("pillow",)
    extra: ClassVar[str | None] = "images"

    @staticmethod
    def seen(place: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
        """A folder with pictures and files of annotations somewhere below it."""
        return _coco_seen.coco(place) if place.is_dir() else None

    def reads(self) -> Mapping[str, str]:
        """Pictures and annotations."""
        files = {"train": self.train, "validation": self.validation, "held_out": self.held_out}
        return {"data.folder": self.folder} | {f"data.{key}": file for key, file in files.items() if file is not None}

    def place(self, origin: str) -> tuple[str, str]:
        """The annotations, as model.toml names them."""
        return f"{origin}/model.toml", _KEY

    def load(self, request: DataRequest) -> Loaded:
        """Pictures by split; UsageError for annotations that cannot be read or name what is not there."""
        keys = [*self.reads()]
        names = {"data.train": "train", "data.validation": "validation", "data.held_out": "test"}
        folder = Path(request.reads[0].place)
        splits = {
            names[key]: _File(Path(read.place), folder, request, key).pictures()
            for key, read in zip(keys[1:], request.reads[1:], strict=False)
        }
        return Drawn(request, _KEY, splits, self.test, self.seed).loaded()


@dataclass(frozen=True, slots=True)
class _File:
    """One file of annotations."""

    file: Path
    folder: Path
    request: DataRequest
    key: str

    def pictures(self) -> list[_boxes.Annotated]:
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            pictures = {each["id"]: each for each in content["images"]}
            numbers = self._numbers(content["categories"])
            rows: dict[Any, list[Row]] = {number: [] for number in pictures}
            for each in content["annotations"]:
                if each.get("iscrowd"):
                    continue
                size = (pictures[each["image_id"]]["width"], pictures[each["image_id"]]["height"])
                rows[each["image_id"]].append(boxes.from_corner(numbers[each["category_id"]], each["bbox"], size))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"is no file of COCO's annotations: {type(error).__name__} {error}"
            raise self._wrong(f"{self.file.name!r} {reason}") from None
        return [self._annotated(each, rows[number]) for number, each in sorted(pictures.items())]

    def _numbers(self, categories: list[dict[str, Any]]) -> dict[Any, int]:
        """The number of the class of each category's id."""
        known = {name: number for number, name in enumerate(self.request.classes)}
        if not any(each["name"] in known for each in categories):
            return {identity: number for number, identity in enumerate(sorted(each["id"] for each in categories))}
        for each in categories:
            if each["name"] not in known:
                message = f"{self.file.name!r} has the category {each['name']!r}, which is none of the model's labels"
                raise self._wrong(message, suggest(each["name"], known))
        return {each["id"]: known[each["name"]] for each in categories}

    def _annotated(self, picture: Mapping[str, Any], rows: list[Row]) -> _boxes.Annotated:
        places = (folder / str(picture["file_name"]) for folder in picture_folders(self.folder, self.file))
        place = next((place for place in places if place.is_file()), None)
        if place is None or not place.resolve().is_relative_to(self.folder.resolve()):
            raise self._wrong(f"{self.file.name!r} names {picture['file_name']!r}, which is not in the folder")
        return _boxes.Annotated(place, [row for row in rows if row[3] > row[1] and row[4] > row[2]])

    def _wrong(self, reason: str, hint: str | None = None) -> UsageError:
        return UsageError(reason, file=f"{self.request.origin}/model.toml", key=self.key, hint=hint)


def picture_folders(folder: Path, file: Path) -> list[Path]:
    """Where the pictures of a file of annotations may lie: beside it, in the folder, or in one of the folders there,
    such as train2017 of instances_train2017.json before others.
    """
    below = sorted(place for place in folder.iterdir() if place.is_dir())
    below.sort(key=lambda place: place.name not in file.stem)
    return [*([file.parent] if file.parent.is_relative_to(folder) else []), folder, *below]
