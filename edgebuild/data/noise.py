"""Noise, where there is no data at all: what a build then proves is agreement with the original on nonsense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge
from pydantic import Field

from edgebuild.data._splits import Share
from edgebuild.data._without import unlabelled
from edgebuild.spec.data import Data, DataRequest, Loaded
from edgebuild.spec.fields import Seed
from edgebuild.spec.preprocess import Preprocess
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]

NOTE = (
    "THERE IS NO DATA: ranges come from noise, and answers are held against the original's on noise. That says nothing "
    "of accuracy, and a file that is calibrated on noise is often worse than it could be: give real inputs"
)


@dataclass(frozen=True, slots=True)
class Noise(Data):
    """Normal values, pixels where `[preprocess]` makes the input of pictures, and whole numbers below `numbers`, but
    for those of 8 bits, which are pixels mostly and may be any, and for masks, by their names: these are 1 for a
    beginning of each row. What has nothing to look at answers NaN.

    Most are for the judge: one draw of noise gives the ranges that another would.
    """

    examples: Annotated[int, Ge(20)] = 192
    numbers: Annotated[int, Ge(1), Field(description="whole numbers are drawn below this")] = 2
    test: Share = 2 / 3
    seed: Seed = 0

    prepares: ClassVar[bool] = True

    def place(self, origin: str) -> tuple[str, str]:
        """The table."""
        return f"{origin}/model.toml", "data"

    def load(self, request: DataRequest) -> Loaded:
        """All splits."""
        import numpy as np

        rng, how = np.random.default_rng(self.seed), request.preprocess
        places = how.places(request.signature.inputs) if how is not None else ()
        inputs = request.signature.inputs
        arrays = [self._drawn(rng, spec, how if place in places else None) for place, spec in enumerate(inputs)]
        return unlabelled(request, arrays, self.examples, "NOISE", NOTE, test=self.test, seed=self.seed)

    def _drawn(self, rng: np.random.Generator, spec: TensorSpec, how: Preprocess | None) -> Values:
        import numpy as np

        if how is not None and how.scale is not None:
            shape, dtype = how.stored
            return rng.integers(0, 256, (self.examples, *shape)).astype(dtype)
        shape = (self.examples, *spec.shape)
        declared = np.dtype(spec.dtype)
        if declared.kind == "f":
            return rng.normal(size=shape).astype(declared)
        if "mask" in spec.name.lower() and spec.shape:  # 1 for what is there, 0 for the padding behind, never 0 alone
            there = rng.integers(1, spec.shape[-1] + 1, shape[:-1])
            return (np.arange(spec.shape[-1]) < there[..., None]).astype(spec.dtype)
        if declared.kind in "iu" and declared.itemsize == 1:
            limits = np.iinfo(declared)
            return rng.integers(limits.min, limits.max, shape, declared, endpoint=True)
        return rng.integers(0, min(self.numbers, 2) if declared.kind == "b" else self.numbers, shape).astype(declared)
