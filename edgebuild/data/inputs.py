"""Inputs without labels, in an .npz: a model is then judged by its agreement with the original, not by accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from edgebuild.data import _npz_seen
from edgebuild.data._splits import Share
from edgebuild.data._without import FEWEST, unlabelled
from edgebuild.data.npz import Archive, Npz
from edgebuild.spec.data import Data, DataRequest, Guess, Loaded
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.signature import TensorSpec

_KEY = "data.file"


@dataclass(frozen=True, slots=True)
class Inputs(Data):
    """Arrays by the names of the model's inputs (or x, where there is one), for heads of the task `agreement`."""

    file: Annotated[str, Field(description="from the model's folder, or absolute")]
    inputs: Annotated[tuple[str, ...], Field(description="names of the arrays, where they are others")] = ()
    test: Share = 0.5
    seed: Seed = 0

    prepares: ClassVar[bool] = True

    @staticmethod
    def seen(place: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
        """An .npz with the inputs and nothing else."""
        return _npz_seen.alone(place, inputs) if place.suffix == ".npz" and place.is_file() else None

    def reads(self) -> Mapping[str, str]:
        """The file."""
        return {_KEY: self.file}

    def place(self, origin: str) -> tuple[str, str]:
        """The file, as model.toml names it."""
        return f"{origin}/model.toml", _KEY

    def load(self, request: DataRequest) -> Loaded:
        """All splits; UsageError for a file that is no .npz, or lacks an input."""
        arrays = Archive(Npz(self.file, self.inputs), request).inputs()
        name = Path(self.file).name
        note = f"there are no labels: answers are held against the original's on inputs of {name}, which is no accuracy"
        count = arrays[0].shape[0]
        if any(rows.shape[0] != count for rows in arrays):
            message = f"{self.file!r} has {', '.join(str(rows.shape[0]) for rows in arrays)} examples of its inputs"
            raise UsageError(message, file=f"{request.origin}/model.toml", key=_KEY)
        if count < FEWEST:
            message = f"{self.file!r} has {count} examples, and {FEWEST} are needed to choose and to judge by"
            raise UsageError(message, file=f"{request.origin}/model.toml", key=_KEY)
        return unlabelled(request, arrays, count, f"inputs of {name}", note, test=self.test, seed=self.seed)
