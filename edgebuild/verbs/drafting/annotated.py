"""What a folder of annotated pictures says of itself: whether it is COCO's or YOLO's, its splits and its classes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgebuild.data._splits import ALIASES
from edgebuild.data.coco import picture_folders
from edgebuild.data.images import pictures_below
from edgebuild.data.yolo import split_folders
from edgebuild.spec import boxes
from edgebuild.spec.errors import UsageError
from edgebuild.verbs.drafting import toml

Boxes = list[tuple[float, ...]]  # class and corners of each
_KEYS = {"train": "train", "validation": "validation", "test": "held_out"}  # of splits in [data] of COCO's files
_NAMES = ("data.yaml", "dataset.yaml", "classes.txt", "obj.names", "classes.names")


@dataclass(frozen=True, slots=True)
class Annotated:
    """`files` are COCO's annotations by split; `classes` are empty where the folder does not name them."""

    kind: Literal["coco", "yolo"]
    folder: Path
    classes: list[str]
    files: dict[str, Path] = field(default_factory=dict)

    def table(self, start: Path | None) -> list[str]:
        """The lines of [data]; paths start from `start`, or are whole."""
        lines = ["[data]", f'use = "{self.kind}"', f"folder = {_path(self.folder, start)}"]
        return lines + [f"{_KEYS[split]} = {_path(file, start)}" for split, file in self.files.items()]

    def some(self, most: int) -> list[tuple[Path, Boxes]]:
        """Pictures with boxes, spread over those that are trained on."""
        pictures = self._coco() if self.kind == "coco" else self._yolo()
        return pictures[:: max(len(pictures) // most, 1)][:most]

    def _coco(self) -> list[tuple[Path, Boxes]]:
        file = self.files["train"]
        content = _read(file)
        numbers = {number: place for place, number in enumerate(sorted(one["id"] for one in content["categories"]))}
        sizes = {one["id"]: (one["width"], one["height"]) for one in content["images"]}
        rows: dict[Any, Boxes] = {}
        for one in content["annotations"]:
            row = boxes.from_corner(numbers[one["category_id"]], one["bbox"], sizes[one["image_id"]])
            rows.setdefault(one["image_id"], []).append(row)
        named = ((self._place(file, one["file_name"]), rows.get(one["id"])) for one in content["images"])
        return [(place, own) for place, own in named if place is not None and own]

    def _place(self, file: Path, name: str) -> Path | None:
        places = (folder / name for folder in picture_folders(self.folder, file))
        return next((place for place in places if place.is_file()), None)

    def _yolo(self) -> list[tuple[Path, Boxes]]:
        images, labels = split_folders(self.folder)["train"]
        read = []
        for picture in pictures_below(images):
            text = (labels / picture.relative_to(images)).with_suffix(".txt")
            lines = text.read_text(encoding="utf-8").splitlines() if text.is_file() else []
            own = [[float(word) for word in line.split()] for line in lines]
            if own:
                read.append((picture, [boxes.from_centre(row[0], row[1:5]) for row in own]))
        return read


def read(data: Path) -> Annotated | None:
    """None for a folder of anything else; UsageError for names of classes that cannot be read."""
    if not data.is_dir():
        return None
    if "train" in split_folders(data):
        return Annotated("yolo", data, _names(data))
    files = {file: content for file in _documents(data) if (content := _read(file))}
    if not files:
        return None
    splits = {split: file for file in files if (split := _split(file, data)) is not None}
    if "train" not in splits:  # one that says nothing of its split, else the largest
        rest = [file for file in files if file not in splits.values()] or [*splits.values()]
        chosen = max(rest, key=lambda file: len(files[file]["images"]))
        splits = {"train": chosen} | {split: file for split, file in splits.items() if file != chosen}
    categories = sorted(files[splits["train"]]["categories"], key=lambda one: one["id"])
    return Annotated("coco", data, [str(one["name"]) for one in categories], splits)


def _documents(data: Path) -> list[Path]:
    return sorted({*data.glob("*.json"), *data.glob("annotations/*.json"), *data.glob("*/_annotations*.json")})


def _read(file: Path) -> dict[str, Any]:
    """COCO's annotations; {} for another document."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    keys = ("images", "annotations", "categories")
    return content if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in keys) else {}


def _split(file: Path, data: Path) -> str | None:
    """What its name, or its folder's, says."""
    words = file.relative_to(data).as_posix().lower()
    return next((split for split in _KEYS if any(alias in words for alias in ALIASES[split])), None)


def _names(data: Path) -> list[str]:
    """The names of YOLO's classes, where a file has them."""
    file = next((data / name for name in _NAMES if (data / name).is_file()), None)
    if file is None:
        return []
    if file.suffix != ".yaml":
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        import yaml
    except ImportError:
        return []  # who asks for the labels says so
    try:
        names = yaml.safe_load(file.read_text(encoding="utf-8"))["names"]
        return [str(names[key]) for key in sorted(names)] if isinstance(names, dict) else [str(one) for one in names]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise UsageError(f"names no classes: {type(error).__name__} {error}", file=str(file), key="--data") from None


def _path(path: Path, start: Path | None) -> str:
    return toml.quoted(str(path) if start is None else os.path.relpath(path, start))
