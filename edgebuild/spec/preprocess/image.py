"""Pictures as a model's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Field

from edgebuild.spec.fields import STRICT
from edgebuild.spec.layout import NCHW, NHWC, Layout
from edgebuild.spec.preprocess._base import Pixels, Prepares, place_of
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class ImageInput(Prepares):
    """How a picture becomes the model's input; data that comes as pictures and the bundle's runner follow it both.

    value = (pixel / 255 − mean) / std, per channel; `invert` first takes 255 − pixel (dark ink on white paper).
    Without `crop` a picture is stretched to the size. With it, the largest part in its middle that has the size's
    proportions is taken, less what this share leaves out at each border: 0.875 is what resizing to 256 and cropping 224
    means. A picture that has the size is taken as it is.

    Where `dtype` is uint8 the model takes pixels as they are, since it scales them itself: value = pixel.
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
    dtype: Annotated[
        Literal["float32", "uint8"], Field(description="uint8: pixels as they are, of a model that scales them itself")
    ] = "float32"
    input: Annotated[str | None, Field(description="which input a picture becomes, of several")] = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the input that it makes."""
        size = (self.height, self.width)
        return (*size, self.channels) if self.layout == NHWC else (self.channels, *size)

    def __post_init__(self) -> None:
        """ValueError unless mean and std have one value for all channels, or one each, and grey has no order.

        Pixels that stay as they are have neither mean nor std.
        """
        if self.order != "rgb" and self.channels == 1:
            raise ValueError("order is for pictures of 3 channels")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{name} has {len(values)} values for {self.channels} channels")
        if self.dtype == "uint8" and (self.mean, self.std) != ((0.0,), (1.0,)):
            raise ValueError("mean and std are for real numbers, and dtype says that pixels stay whole ones")

    def places(self, inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
        """Which of the model's inputs it makes, by position; ValueError where they are declared otherwise."""
        return place_of(self.input, (self.shape, self.dtype), inputs)

    @property
    def stored(self) -> tuple[tuple[int, ...], str]:
        """Pixels of 8 bits, [height, width, channels]."""
        return (self.height, self.width, self.channels), "uint8"

    @property
    def scale(self) -> dict[str, Any] | None:
        """What becomes of pixels when they are read, as `travels/prepare_image.py` takes it."""
        own = ("mean", "std", "invert", "layout", "order", "dtype")
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

    @property
    def pixels(self) -> Pixels:
        """The formula of the class, with pixels from 0 to 255."""
        colours = self.order if self.channels == 3 else "grey"
        unit = 1 if self.dtype == "uint8" else 255
        mean = tuple((255 if self.invert else 0) + (-unit if self.invert else unit) * value for value in self.mean)
        std = tuple((-unit if self.invert else unit) * value for value in self.std)
        return Pixels(self.width, self.height, colours, mean, std)

    def picture(self, example: Array) -> Array | None:
        """The inverse of what becomes of pixels."""
        import numpy as np

        axes = (0, 1, 2) if self.layout == NHWC else (1, 2, 0)
        plane = example.transpose(axes)
        if self.dtype != "uint8":
            plane = (plane * np.array(self.std) + np.array(self.mean)) * 255
        pixels = np.clip(np.rint(plane), 0, 255)
        inverted: Array = (255 - pixels if self.invert else pixels).astype(np.uint8)
        return inverted[..., ::-1] if self.order == "bgr" else inverted
