"""A folder of recordings with a folder for each class, as sets of spoken words come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from edgebuild.data._folders import KEY, Folders
from edgebuild.data._splits import Share
from edgebuild.spec.data import Asked, Data, Loaded
from edgebuild.spec.fields import Seed


@dataclass(frozen=True, slots=True)
class Audio(Data):
    """`folder/CLASS/*.wav`, or `folder/train/CLASS/*.wav` with `test` and perhaps `validation` and `unlabelled` beside.

    PCM of 8 to 32 bits. What becomes of a recording is said by `[preprocess]` with `kind = "mel"`.
    """

    folder: Annotated[str, Field(description="from the model's folder, or absolute")]
    test: Share = 0.2
    seed: Seed = 0
    slices: Annotated[bool, Field(description="folders below those of classes name slices of the test split")] = False

    prepares: ClassVar[bool] = True
    by_name: ClassVar[bool] = True

    def reads(self) -> Mapping[str, str]:
        """The folder."""
        return {KEY: self.folder}

    def place(self, origin: str) -> tuple[str, str]:
        """The folder, as model.toml names it."""
        return f"{origin}/model.toml", KEY

    def load(self, asked: Asked) -> Loaded:
        """Recordings by split; UsageError for folders of no class, and for what is no recording when it comes to it."""
        return Folders(asked, self.folder, "recording", (".wav",), self.test, self.seed, self.slices).loaded()
