"""A folder of pictures with a folder for each class, which is how most picture sets come."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.data._pictures import Pictures
from edgebuild.data._splits import ALIASES, LABELLED, Share, cut
from edgebuild.spec.data import Asked, Data, Loaded
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.names import suggest

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_KEY = "data.folder"


@dataclass(frozen=True, slots=True)
class Images(Data):
    """`folder/CLASS/*.png`, or `folder/train/CLASS/*.png` with `test` and perhaps `validation` and `unlabelled` beside.

    Folders are named as the `labels` of model.toml; where none is, they may be the numbers of classes. What becomes of
    a picture is said by `[preprocess]`. Splits that do not come along are cut at random, in proportion to the classes.
    """

    folder: Annotated[str, Field(description="from the model's folder, or absolute")]
    test: Share = 0.2
    seed: Seed = 0

    prepares: ClassVar[bool] = True
    by_name: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("pillow",)
    extra: ClassVar[str | None] = "images"

    def reads(self) -> Mapping[str, str]:
        """The folder."""
        return {_KEY: self.folder}

    def place(self, origin: str) -> tuple[str, str]:
        """The folder, as model.toml names it."""
        return f"{origin}/model.toml", _KEY

    def load(self, asked: Asked) -> Loaded:
        """Pictures by split; UsageError for folders of no class, and for what is no picture when it comes to it."""
        return _Folder(self, asked).loaded()


@dataclass(frozen=True, slots=True)
class _Folder:
    """One loading of a folder."""

    options: Images
    asked: Asked

    def loaded(self) -> Loaded:
        if self.asked.preprocess is None:
            raise self._wrong("is missing: it says how a picture becomes the model's input", key="preprocess")
        if not self.asked.classes or len(self.asked.heads) != 1:
            raise self._wrong("has a folder for each class, which is for a model whose one answer is a class")
        top = Path(self.asked.reads[0].place)
        if not top.is_dir():
            raise self._wrong(f"{self.options.folder!r} is no folder")
        folders = {split: place for split in ALIASES if (place := _split_folder(top, split)) is not None}
        if "train" not in folders and "test" in folders:
            raise self._wrong(f"{self.options.folder!r} has a folder 'test' and none 'train'")
        if "train" not in folders:
            folders = {"train": top}
        splits: dict[str, Any] = {name: self._classes(folders[name]) for name in LABELLED if name in folders}
        notes: tuple[str, ...] = ()
        if missing := [name for name in LABELLED if name not in splits]:
            splits, notes = self._cut(splits)
        given: dict[str, Any] = {name: (self._pictures(files), labels) for name, (files, labels) in splits.items()}
        if "unlabelled" in folders:
            given["unlabelled"] = self._pictures(pictures_below(folders["unlabelled"]))
        return Loaded(given, "validation" in missing, notes)

    def _cut(self, splits: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """With the splits that are missing cut from the training examples."""
        files, labels = splits["train"]
        try:
            rows, note = cut(len(files), labels, splits, test=self.options.test, seed=self.options.seed)
        except ValueError as error:
            raise self._wrong(f"{self.options.folder!r} {error}") from None
        return splits | {name: ([files[row] for row in own], labels[own]) for name, own in rows.items()}, (note,)

    def _classes(self, top: Path) -> tuple[list[Path], Any]:
        """Files in order, and the number of each one's class, int64 [N]."""
        import numpy as np

        places = [place for place in sorted(top.iterdir()) if place.is_dir() and not place.name.startswith(".")]
        if not places:
            raise self._wrong(f"{self._shown(top)} has no folders, and one for each class is needed")
        known = {name: number for number, name in enumerate(self.asked.classes)}
        if not any(place.name in known for place in places):
            known |= {str(number): number for number in range(len(self.asked.classes))}
        files, labels = list[Path](), list[int]()
        for place in places:
            if place.name not in known:
                told = f"folder {self._shown(place)} is none of the model's labels"
                raise self._wrong(told, hint=suggest(place.name, self.asked.classes))
            own = pictures_below(place)
            files += own
            labels += [known[place.name]] * len(own)
        if not files:
            raise self._wrong(f"{self._shown(top)} has no pictures ({', '.join(ENDINGS)}) in its folders")
        return files, np.array(labels, np.int64)

    def _pictures(self, files: list[Path]) -> Pictures:
        assert self.asked.preprocess is not None
        return Pictures(files, self.asked.preprocess, self._unreadable)

    def _unreadable(self, path: Path, told: str) -> UsageError:
        return self._wrong(f"{self._shown(path)} is no picture that can be read: {told}")

    def _shown(self, path: Path) -> str:
        return repr(os.path.normpath(Path(self.options.folder) / path.relative_to(self.asked.reads[0].place)))

    def _wrong(self, reason: str, hint: str | None = None, key: str = _KEY) -> UsageError:
        return UsageError(reason, file=f"{self.asked.origin}/model.toml", key=key, hint=hint)


def _split_folder(top: Path, split: str) -> Path | None:
    return next((top / alias for alias in ALIASES[split] if (top / alias).is_dir()), None)


def pictures_below(place: Path) -> list[Path]:
    """The pictures of a folder by their names' endings, in order; hidden ones are left out."""
    found = (path for path in place.rglob("*") if path.suffix.lower() in ENDINGS and not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())
