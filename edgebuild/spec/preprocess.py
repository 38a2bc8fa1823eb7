"""How what people have (pictures, recordings, texts) becomes a model's input: declared once, followed everywhere.

Each kind has a file `travels/prepare_<kind>.py`, numpy alone, which data is prepared by and which bundles carry.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Discriminator, Field, Tag

from edgebuild.spec.fields import STRICT, Inside
from edgebuild.spec.layout import NCHW, NHWC, Layout
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Prepares(Protocol):
    """A declared kind: a frozen dataclass whose fields are what `[preprocess]` says, and preprocess.json after it.

    scale: what becomes of what is stored when it is read; None where it is the model's input already
    """

    __slots__ = ()

    kind: str
    what: ClassVar[str]

    @abstractmethod
    def places(self, inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
        """Which of the model's inputs it makes, by position; ValueError where they are declared otherwise."""

    @property
    @abstractmethod
    def stored(self) -> tuple[tuple[int, ...], str]:
        """Shape and element type of one example of each of these inputs as a data set keeps it."""

    @abstractmethod
    def read(self, path: Path) -> Any:
        """What a file holds, before it is prepared; any exception for one that is none of this kind."""

    @abstractmethod
    def fit(self, one: Any) -> tuple[Array, ...]:
        """One of these as a data set keeps it, for each input that it makes."""

    @abstractmethod
    def json(self) -> dict[str, Any]:
        """As preprocess.json has it, which the travelling file goes by."""

    @property
    def scale(self) -> dict[str, Any] | None:
        """Nothing more becomes of it."""
        return None

    def raw(self, shape: tuple[int, ...], dtype: Any, spec: TensorSpec) -> bool:
        """Whether an array [N, …] that comes for the input `spec` is yet to be prepared."""
        return False

    def reads(self) -> Mapping[str, str]:
        """Files from the model's folder that it is made of, by the key that names each."""
        return {}

    def with_file(self, path: str) -> Self:
        """Itself, with what `reads` names at this place."""
        return self

    def picture(self, example: Array) -> Array | None:
        """Pixels uint8 [h, w, c] that become this example of the model's input; None where it is made of no picture."""
        return None


@dataclass(frozen=True, slots=True)
class ImageInput(Prepares):
    """How a picture becomes the model's input; data that comes as pictures and the bundle's runner follow it both.

    value = (pixel / 255 − mean) / std, per channel; `invert` first takes 255 − pixel (dark ink on white paper).
    Without `crop` a picture is stretched to the size. With it, the largest part in its middle that has the size's
    proportions is taken, less what this share leaves out at each border: 0.875 is what resizing to 256 and cropping 224
    means. A picture that has the size is taken as it is.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    what: ClassVar[str] = "picture"

    kind: Literal["image"] = "image"
    width: Annotated[int, Ge(1)] = 28
    height: Annotated[int, Ge(1)] = 28
    channels: Literal[1, 3] = 1
    mean: tuple[float, ...] = (0.0,)
    std: tuple[Annotated[float, Gt(0)], ...] = (1.0,)
    invert: bool = False
    crop: Annotated[
        float | None, Field(gt=0, le=1, description="share of the middle that is kept; none: stretched")
    ] = None
    layout: Annotated[Layout, Field(description="whether channels come first or last")] = NCHW
    order: Annotated[Literal["rgb", "bgr"], Field(description="of the channels; OpenCV reads pictures as bgr")] = "rgb"
    input: Annotated[str | None, Field(description="which input a picture becomes, of several")] = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the input that it makes."""
        size = (self.height, self.width)
        return (*size, self.channels) if self.layout == NHWC else (self.channels, *size)

    def __post_init__(self) -> None:
        """ValueError unless mean and std have one value for all channels, or one each, and grey has no order."""
        if self.order != "rgb" and self.channels == 1:
            raise ValueError("order is for pictures of 3 channels")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{name} has {len(values)} values for {self.channels} channels")

    def places(self, inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
        """Which of the model's inputs it makes, by position; ValueError where they are declared otherwise."""
        return _places(self.input, (self.shape, "float32"), inputs)

    @property
    def stored(self) -> tuple[tuple[int, ...], str]:
        """Pixels of 8 bits, [height, width, channels]."""
        return (self.height, self.width, self.channels), "uint8"

    @property
    def scale(self) -> dict[str, Any] | None:
        """What becomes of pixels when they are read, as `travels/prepare_image.py` takes it."""
        own = ("mean", "std", "invert", "layout", "order")
        return {key: value for key, value in asdict(self).items() if key in own}

    def raw(self, shape: tuple[int, ...], dtype: Any, spec: TensorSpec) -> bool:
        """8-bit pictures [N, h, w] or [N, h, w, channels]."""
        if dtype != "uint8" or shape[1:] == spec.shape != self.stored[0]:
            return False
        return len(shape) == 3 or (len(shape) == 4 and shape[-1] in range(1, 5))

    def read(self, path: Path) -> Any:
        """The pixels of a picture."""
        from edgebuild.travels import prepare_image

        return prepare_image.read_picture(path)

    def fit(self, one: Any) -> tuple[Array, ...]:
        """Pixels uint8 [h, w] or [h, w, c] with the model's size and channels."""
        from edgebuild.travels import prepare_image

        return (prepare_image.fit(one.reshape(*one.shape[:2], -1), asdict(self)),)

    def json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)

    def picture(self, example: Array) -> Array | None:
        """The inverse of what becomes of pixels."""
        import numpy as np

        axes = (0, 1, 2) if self.layout == NHWC else (1, 2, 0)
        plane = example.transpose(axes) * np.array(self.std) + np.array(self.mean)
        pixels = np.clip(np.rint(plane * 255), 0, 255)
        inverted: Array = (255 - pixels if self.invert else pixels).astype(np.uint8)
        return inverted[..., ::-1] if self.order == "bgr" else inverted


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
        return _places(self.input, self.stored, inputs)

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


@dataclass(frozen=True, slots=True)
class WordpieceInput(Prepares):
    """How a text becomes the model's inputs: numbers of WordPiece tokens (BERT's), padded to `length`.

    `vocabulary` has a token a line. With `mask` an input says which tokens are no padding, with `types` one is all 0.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    what: ClassVar[str] = "text"

    kind: Literal["wordpiece"]
    vocabulary: Inside
    length: Annotated[int, Ge(3), Field(description="tokens, with [CLS] and [SEP]; longer texts are cut")]
    lower_case: Annotated[bool, Field(description="also strips accents, as BERT's uncased vocabularies need")] = True
    ids: Annotated[str, Field(description="the input of the tokens' numbers")] = "input_ids"
    mask: Annotated[str | None, Field(description="the input that is 1 for tokens, 0 for padding")] = "attention_mask"
    types: Annotated[str | None, Field(description="the input of token types, all 0")] = None

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs that it makes."""
        return tuple(name for name in (self.ids, self.mask, self.types) if name is not None)

    @property
    def stored(self) -> tuple[tuple[int, ...], str]:
        """Numbers that a vocabulary has."""
        return (self.length,), "int32"

    def places(self, inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
        """Those that it names."""
        known = {spec.name: place for place, spec in enumerate(inputs)}
        for name in self.names:
            if name not in known:
                raise ValueError(f"preprocess makes the input {name!r}; inputs has {', '.join(known)}")
            spec = inputs[known[name]]
            if prod(spec.shape) != self.length or spec.shape[-1:] != (self.length,):
                raise ValueError(f"preprocess makes {name!r} of shape {[self.length]}; inputs says {[*spec.shape]}")
        return tuple(known[name] for name in self.names)

    def reads(self) -> Mapping[str, str]:
        """The vocabulary."""
        return {"preprocess.vocabulary": self.vocabulary}

    def read(self, path: Path) -> Any:
        """The whole text of a file."""
        return path.read_text(encoding="utf-8")

    def fit(self, one: Any) -> tuple[Array, ...]:
        """A text as its numbers, int32 [length], and what else is asked for."""
        from edgebuild.travels import prepare_wordpiece

        return tuple(prepare_wordpiece.fit(str(one), asdict(self)))

    def json(self) -> dict[str, Any]:
        """All fields, and the names of the inputs in the order in which they are made."""
        return asdict(self) | {"names": list(self.names)}

    def with_file(self, path: str) -> Self:
        """With the vocabulary there."""
        return replace(self, vocabulary=path)


@dataclass(frozen=True, slots=True)
class WindowInput(Prepares):
    """How some samples of a sensor's signals become the model's input: (value - mean) / std of each signal."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    what: ClassVar[str] = "window"

    kind: Literal["window"]
    signals: Annotated[tuple[str, ...], Field(min_length=1, description="columns of a recording, in order")]
    length: Annotated[int, Ge(1), Field(description="samples of a window")]
    mean: Annotated[tuple[float, ...], Field(description="of all signals, or of each")] = (0.0,)
    std: tuple[Annotated[float, Gt(0)], ...] = (1.0,)
    time_first: Annotated[bool, Field(description="samples are rows of the input, and signals its columns")] = False
    shape: Annotated[tuple[int, ...], Field(description="of the input; else [signals, length]")] = ()
    input: Annotated[str | None, Field(description="which input a window becomes, of several")] = None

    def __post_init__(self) -> None:
        """ValueError for sizes that contradict each other."""
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, len(self.signals)):
                raise ValueError(f"{name} has {len(values)} values for {len(self.signals)} signals")
        if len({*self.signals}) < len(self.signals):
            raise ValueError("signals names one twice")
        plane = self._plane
        if self.shape and [size for size in self.shape if size != 1] != [size for size in plane if size != 1]:
            order = "length, signals" if self.time_first else "signals, length"
            raise ValueError(f"shape {[*self.shape]} is not that of {order}: {[*plane]}")

    @property
    def _plane(self) -> tuple[int, int]:
        return (self.length, len(self.signals)) if self.time_first else (len(self.signals), self.length)

    @property
    def stored(self) -> tuple[tuple[int, ...], str]:
        """The input itself."""
        return self.shape or self._plane, "float32"

    def places(self, inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
        """The one that it names, or the only one."""
        return _places(self.input, self.stored, inputs)

    def raw(self, shape: tuple[int, ...], dtype: Any, spec: TensorSpec) -> bool:
        """Windows [N, length, signals]."""
        return shape[1:] == (self.length, len(self.signals)) != spec.shape and dtype.kind in "fiu"

    def read(self, path: Path) -> Any:
        """The samples of a .csv or .tsv file."""
        from edgebuild.travels import prepare_window

        return prepare_window.read_recording(path, self.signals)

    def fit(self, one: Any) -> tuple[Array, ...]:
        """Samples [n, signals] as the model's input."""
        from edgebuild.travels import prepare_window

        return (prepare_window.fit(one, self.json()),)

    def json(self) -> dict[str, Any]:
        """All fields, and the shape that follows from them."""
        return asdict(self) | {"shape": [*self.stored[0]]}


def _places(name: str | None, made: tuple[tuple[int, ...], str], inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
    """The place of the one input that a preprocessing makes, of this shape and type."""
    found = [place for place, spec in enumerate(inputs) if name in (None, spec.name)]
    if len(found) != 1 or (inputs[found[0]].shape, inputs[found[0]].dtype) != made:
        which = f"the input {name!r}, {made[1]}" if name else f"one {made[1]} input"
        raise ValueError(f"preprocess makes {which} of shape {list(made[0])}; inputs says otherwise")
    return (found[0],)


def _kind_of(declared: Any) -> str:
    """The tag of a table; without `kind` it is about pictures."""
    return f"[{declared.get('kind', 'image') if isinstance(declared, Mapping) else declared.kind}]"


Preprocess = Annotated[
    Annotated[ImageInput, Tag("[image]")]
    | Annotated[MelInput, Tag("[mel]")]
    | Annotated[WordpieceInput, Tag("[wordpiece]")]
    | Annotated[WindowInput, Tag("[window]")],
    Discriminator(_kind_of),
]
