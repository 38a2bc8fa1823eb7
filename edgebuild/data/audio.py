"""A folder of recordings with a folder for each class, as sets of spoken words come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.data import _folders
from edgebuild.data._folders import KEY, Folders
from edgebuild.data._splits import Share
from edgebuild.spec.data import Data, DataRequest, Guess, Loaded
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.signature import TensorSpec

_BANDS = (32, 40, 64, 80, 96, 128)  # usual numbers of mel bands


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

    @staticmethod
    def seen(place: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
        """Folders with recordings in them; how long these are follows from the input's frames."""
        from edgebuild.travels import prepare_mel

        classes = _folders.classes_in(place, (".wav",))
        shape = [size for size in inputs[0].shape if size != 1] if len(inputs) == 1 else []
        if not classes or len(shape) != 2:
            return None
        try:
            rate = prepare_mel.rate_of(_folders.below(_folders.training(place), (".wav",))[0])
        except (ValueError, OSError) as error:
            raise UsageError(f"has a .wav file that cannot be read: {error}", file=str(place), key="--data") from None
        first = shape[0] not in _BANDS and shape[1] in _BANDS
        frames, bands = shape if first else reversed(shape)
        window, hop = rate // 40, rate // 100  # 25 ms and 10 ms, as most networks have them
        how: dict[str, Any] = {"kind": "mel", "rate": rate, "seconds": ((frames - 1) * hop + window) / rate}
        how |= {"window": window, "hop": hop, "fft": 1 << (window - 1).bit_length(), "bands": bands}
        how |= {"frames_first": first, "shape": [*inputs[0].shape]}
        note = f"recordings go in as {frames} frames of {bands} mel bands, 25 ms every 10; look at [preprocess]"
        what = f"recordings in {len(classes)} folders"
        return Guess(what, {"folder": place}, classes=classes, preprocess=how, guesses=(note,))

    def reads(self) -> Mapping[str, str]:
        """The folder."""
        return {KEY: self.folder}

    def place(self, origin: str) -> tuple[str, str]:
        """The folder, as model.toml names it."""
        return f"{origin}/model.toml", KEY

    def load(self, request: DataRequest) -> Loaded:
        """Recordings by split; UsageError for folders of no class, and for what is no recording when it comes to it."""
        return Folders(request, self.folder, "recording", (".wav",), self.test, self.seed, self.slices).loaded()
