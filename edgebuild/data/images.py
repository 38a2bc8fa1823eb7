"""A folder of pictures with a folder for each class, which is how most picture sets come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from edgebuild.data import _folders
from edgebuild.data._folders import KEY, Folders
from edgebuild.data._splits import Share
from edgebuild.spec.data import Data, DataRequest, Guess, Loaded
from edgebuild.spec.fields import Seed
from edgebuild.spec.signature import TensorSpec

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")

_LOUD = (
    "the pictures lie in no folders of classes: answers are held against the file's own on them, which is no accuracy"
)


@dataclass(frozen=True, slots=True)
class Images(Data):
    """`folder/CLASS/*.png`, or `folder/train/CLASS/*.png` with `test` and perhaps `validation` and `unlabelled` beside.

    Folders are named as the `labels` of model.toml; where none is, they may be the numbers of classes. What becomes of
    a picture is said by `[preprocess]`. Splits that do not come along are cut at random, in proportion to the classes.
    A model of the task `agreement` needs no folders of classes: every picture below `folder` is an example.
    """

    folder: Annotated[str, Field(description="from the model's folder, or absolute")]
    test: Share = 0.2
    seed: Seed = 0
    slices: Annotated[bool, Field(description="folders below those of classes name slices of the test split")] = False

    prepares: ClassVar[bool] = True
    by_name: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("pillow",)
    extra: ClassVar[str | None] = "images"

    @staticmethod
    def seen(place: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
        """Folders with pictures in them, or pictures alone, whose labels nobody says."""
        classes = _folders.classes_in(place, ENDINGS)
        what = f"pictures in {len(classes)} folders"
        if classes:
            return Guess(what, {"folder": place}, classes=classes, pictures=True)
        if not place.is_dir() or not any(_is_picture(one) for one in place.iterdir()):
            return None
        return Guess("pictures", {"folder": place}, "agreement", pictures=True, guesses=(_LOUD,), sure=0)

    def reads(self) -> Mapping[str, str]:
        """The folder."""
        return {KEY: self.folder}

    def place(self, origin: str) -> tuple[str, str]:
        """The folder, as model.toml names it."""
        return f"{origin}/model.toml", KEY

    def load(self, request: DataRequest) -> Loaded:
        """Pictures by split; UsageError for folders of no class, and for what is no picture when it comes to it."""
        return Folders(request, self.folder, "picture", ENDINGS, self.test, self.seed, self.slices).loaded()


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file() and path.name[0] != "."


def pictures_below(place: Path) -> list[Path]:
    """The pictures of a folder by their names' endings, in order; hidden ones are left out."""
    return _folders.below(place, ENDINGS)
