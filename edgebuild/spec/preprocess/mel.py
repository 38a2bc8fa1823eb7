"""Recordings as a model's input: mel spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Field

from edgebuild.spec.fields import STRICT
from edgebuild.spec.preprocess._base import Prepares, place_of
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class MelInput(Prepares):
    """How a recording becomes the model's input: the logarithm of its mel spectrogram.

    Samples of one channel (the mean of all) at `rate`, the first `seconds` of them, zeros behind shorter ones. Frames
    of `window` samples (Hann, periodic) every `hop`, none beyond the end, each transformed with `fft` points; |X|^power
    in triangles of `bands` between `low` and `high` Hz on the mel scale, then (ln(max(energy, floor)) - mean) / std.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    what: ClassVar[str] = "recording"

    kind: Literal["mel"]
    rate: Annotated[int, Ge(1), Field(description="samples a second; a recording of another rate is refused")] = 16000
    seconds: Annotated[float, Gt(0)] = 1.0
    window: Annotated[int, Ge(2), Field(description="samples of a frame")] = 400
    hop: Annotated[int, Ge(1), Field(description="samples between the beginnings of two frames")] = 160
    fft: Annotated[int, Ge(2), Field(description="points of the transform, the window at least")] = 512
    bands: Annotated[int, Ge(1)] = 40
    low: Annotated[float, Ge(0), Field(description="Hz")] = 0.0
    high: Annotated[float | None, Field(description="Hz; half the rate where it is left out")] = None
    scale_of: Annotated[Literal["htk", "slaney"], Field(description="which mel scale")] = "htk"
    norm: Annotated[Literal["none", "slaney"], Field(description="slaney: each triangle has the area 1")] = "none"
    power: Annotated[float, Gt(0)] = 2.0
    floor: Annotated[float, Gt(0), Field(description="energies below it count as this")] = 1e-6
    mean: float = 0.0
    std: Annotated[float, Gt(0)] = 1.0
    shape: Annotated[tuple[int, ...], Field(description="of the input; else [1, bands, frames]")] = ()
    frames_first: bool = False
    input: Annotated[str | None, Field(description="which input a recording becomes, of several")] = None

    def __post_init__(self) -> None:
        """ValueError for sizes that contradict each other."""
        if self.fft < self.window:
            raise ValueError(f"fft is {self.fft}, less than the window of {self.window}")
        if self.samples < self.window:
            raise ValueError(f"seconds are {self.samples} samples, less than one window of {self.window}")
        if self.high is not None and not self.low < self.high <= self.rate / 2:
            raise ValueError(f"high must lie above low and not above {self.rate / 2:g} Hz, half the rate")
        if self.shape and [size for size in self.shape if size != 1] != [size for size in self._plane if size != 1]:
            order = "frames, bands" if self.frames_first else "bands, frames"
            raise ValueError(f"shape {list(self.shape)} is not that of {order}: {list(self._plane)}")

    @property
    def samples(self) -> int:
        """Of a recording."""
        return round(self.seconds * self.rate)

    @property
    def frames(self) -> int:
        """Of a recording."""
        return 1 + (self.samples - self.window) // self.hop

    @property
    def _plane(self) -> tuple[int, int]:
        return (self.frames, self.bands) if self.frames_first else (self.bands, self.frames)

    @property
    def stored(self) -> tuple[tuple[int, ...], str]:
        """The spectrogram itself: it is smaller than the samples."""
        return self.shape or (1, *self._plane), "float32"

    def places(self, inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
        """The one that it names, or the only one."""
        return place_of(self.input, self.stored, inputs)

    def raw(self, shape: tuple[int, ...], dtype: Any, spec: TensorSpec) -> bool:
        """Recordings [N, samples], 16-bit or from -1 to 1."""
        return len(shape) == 2 and shape[1:] != spec.shape and (dtype == "int16" or dtype.kind == "f")

    def read(self, path: Path) -> Any:
        """The samples of a .wav file."""
        from edgebuild.travels import prepare_mel

        return prepare_mel.read_recording(path, self.rate)

    def fit(self, one: Any) -> tuple[Array, ...]:
        """Samples [n] as the model's input."""
        from edgebuild.travels import prepare_mel

        return (prepare_mel.fit(one, self.json()),)

    def json(self) -> dict[str, Any]:
        """All fields, and what follows from them."""
        return asdict(self) | {"shape": list(self.stored[0]), "samples": self.samples}
