"""Whether a folder holds COCO's annotations, and where the pictures are that they name."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebuild.data._splits import ALIASES
from edgebuild.spec.data import Guess

_KEYS = {"train": "train", "validation": "validation", "test": "held_out"}
_MOST = 64  # files that are looked into


def coco(place: Path) -> Guess | None:
    """None for a folder without a file of annotations whose pictures are there."""
    files = [path for path in sorted(place.rglob("*.json"))[:_MOST] if _begins(path)]
    known = {path: content for path in files if (content := _annotations(path)) is not None}
    if not known:
        return None
    options: dict[str, Any] = {}
    for path in known:
        options.setdefault(_KEYS[_split(path.stem) or "train"], path)
    if "train" not in options:
        options = {"train": options.pop(next(iter(options))), **options}
    first = known[options["train"]]
    tops = {_pictures(place, path, str(known[path]["images"][0]["file_name"])) for path in options.values()}
    if None in tops:
        return None
    top = Path(os.path.commonpath([each for each in tops if each is not None]))
    classes = tuple(str(each["name"]) for each in sorted(first["categories"], key=lambda each: each["id"]))
    order, own = "categories by their ids", {"folder": top, **options}
    return Guess("pictures with boxes (COCO)", own, "detection", classes, order, pictures=True, sure=3)


def _pictures(place: Path, file: Path, name: str) -> Path | None:
    """The folder that the names of a file start from: that which it is called after before others."""
    ends = [path for path in place.rglob(Path(name).name) if path.as_posix().endswith("/" + name)]
    ends.sort(key=lambda path: (path.parent != file.parent, path.parent.name not in file.stem, path))
    return ends[0].parents[len(Path(name).parts) - 1] if ends else None


def _begins(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).lstrip().startswith(b"{")


def _annotations(path: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        held = all(isinstance(content[key], list) for key in ("images", "annotations", "categories"))
        return content if held and content["images"][0]["file_name"] and content["categories"][0]["name"] else None
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _split(stem: str) -> str | None:
    """The split that the name of a file has a word of."""
    words = {word for word in re.split(r"[^a-z]+", stem.lower()) if word}
    return next((split for split, names in ALIASES.items() if split in _KEYS and words & {*names}), None)
