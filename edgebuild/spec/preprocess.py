"""How what people have (pictures, recordings, texts) becomes a model's input: declared once, followed everywhere.

Each kind has a file `travels/prepare_<kind>.py`, numpy alone, which data is prepared by and which bundles carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Field

from edgebuild.spec.fields import STRICT
from edgebuild.spec.layout import NCHW, NHWC, Layout
from edgebuild.spec.signature import TensorSpec


@dataclass(frozen=True, slots=True)
class ImageInput:
    """How a picture becomes the model's input; data that comes as pictures and the bundle's runner follow it both.

    value = (pixel / 255 − mean) / std, per channel; `invert` first takes 255 − pixel (dark ink on white paper).
    Without `crop` a picture is stretched to the size. With it, the largest part in its middle that has the size's
    proportions is taken, less what this share leaves out at each border: 0.875 is what resizing to 256 and cropping 224
    means. A picture that has the size is taken as it is.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

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
    input: Annotated[str | None, Field(description="which input a picture becomes, of several")] = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the input that it makes."""
        size = (self.height, self.width)
        return (*size, self.channels) if self.layout == NHWC else (self.channels, *size)

    def __post_init__(self) -> None:
        """ValueError unless mean and std have one value for all channels, or one each."""
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{name} has {len(values)} values for {self.channels} channels")

    def places(self, inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
        """Which of the model's inputs it makes, by position; ValueError where they are declared otherwise."""
        return _places(self.input, (self.shape, "float32"), inputs)

    @property
    def stored(self) -> tuple[int, ...]:
        """Of one picture as a data set keeps it, uint8: [height, width, channels]."""
        return (self.height, self.width, self.channels)

    @property
    def scale(self) -> dict[str, Any]:
        """What becomes of such pixels when they are read, as `travels/prepare_image.py` takes it."""
        return {key: value for key, value in asdict(self).items() if key in ("mean", "std", "invert", "layout")}


def _places(name: str | None, made: tuple[tuple[int, ...], str], inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
    """The place of the one input that a preprocessing makes, of this shape and type."""
    found = [place for place, spec in enumerate(inputs) if name in (None, spec.name)]
    if len(found) != 1 or (inputs[found[0]].shape, inputs[found[0]].dtype) != made:
        which = f"the input {name!r}, {made[1]}" if name else f"one {made[1]} input"
        raise ValueError(f"preprocess makes {which} of shape {list(made[0])}; inputs says otherwise")
    return (found[0],)


Preprocess = ImageInput
