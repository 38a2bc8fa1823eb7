"""Windows of sensors' signals as a model's input."""

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
        return place_of(self.input, self.stored, inputs)

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
