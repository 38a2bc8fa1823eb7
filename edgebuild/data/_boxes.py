"""Annotated pictures on their way to splits: what readers of COCO's and YOLO's annotations share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebuild.data._prepared import Prepared
from edgebuild.data._splits import LABELLED, cut
from edgebuild.spec import boxes
from edgebuild.spec.data import DataRequest, Loaded
from edgebuild.spec.errors import UsageError

Row = tuple[float, ...]  # class, x1, y1, x2, y2, as `spec.boxes` has them


@dataclass(frozen=True, slots=True)
class Annotated:
    """A picture, and the boxes in it."""

    file: Path
    boxes: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Annotated pictures by split, as `key` of model.toml names them."""

    request: DataRequest
    key: str
    splits: Mapping[str, Sequence[Annotated]]
    test: float
    seed: int

    def loaded(self) -> Loaded:
        """Pictures and labels of each split, cut where some are missing; UsageError where a model cannot take them."""
        how = self.request.preprocess
        if how is None or how.what != "picture":
            raise self.wrong("is missing: it says how a picture becomes the model's input", key="preprocess")
        if "crop" in how.json() and how.json()["crop"] is not None:
            raise self.wrong("would cut boxes; leave it out, and pictures are stretched", key="preprocess.crop")
        if len(self.request.heads) != 1:
            raise self.wrong("has boxes, which is for a model of one head")
        splits, notes = dict(self.splits), tuple[str, ...]()
        if not splits.get("train"):
            raise self.wrong("has no pictures of a split 'train'")
        if missing := [name for name in LABELLED if name not in splits]:
            splits, notes = self._cut(splits)
        pairs = {name: self._pair(own, how) for name, own in splits.items()}
        return Loaded(pairs, "validation" in missing, notes)

    def _cut(self, splits: dict[str, Sequence[Annotated]]) -> tuple[dict[str, Sequence[Annotated]], tuple[str, ...]]:
        train = splits["train"]
        try:
            rows, note = cut(len(train), None, splits, test=self.test, seed=self.seed)
        except ValueError as error:
            raise self.wrong(str(error)) from None
        return splits | {name: [train[row] for row in own] for name, own in rows.items()}, (note,)

    def _pair(self, pictures: Sequence[Annotated], how: Any) -> tuple[Prepared, Any]:
        files = [picture.file for picture in pictures]
        return Prepared(files, how, self._unreadable), boxes.padded([picture.boxes for picture in pictures])

    def _unreadable(self, path: Path, reason: str) -> UsageError:
        return self.wrong(f"{path.name!r} is no picture that can be read: {reason}")

    def wrong(self, reason: str, key: str | None = None) -> UsageError:
        """The error that names the model's file and the key."""
        return UsageError(reason, file=f"{self.request.origin}/model.toml", key=key or self.key)
