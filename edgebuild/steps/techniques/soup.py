"""Fine-tunes a model several times and takes the mean of the weights."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import Field

from edgebuild.nn import checkpoint
from edgebuild.nn.train import training
from edgebuild.spec import notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.fields import Seed
from edgebuild.spec.technique import Technique
from edgebuild.steps import _soup
from edgebuild.steps.techniques.distill import Distill


@dataclass(frozen=True, slots=True)
class Soup(Technique):
    """A model soup (Wortsman et al., ICML 2022): `runs` distillations from the same weights, each with its own seed and
    the next of the rates, then the mean of those that do not make the validation loss worse (`greedy`), or of all.

    Statistics of batch norms are estimated anew. By validation it is never worse than the best single run.
    """

    way: Annotated[Literal["greedy", "uniform"], Field(description="which runs are in the mean")] = "greedy"
    runs: Annotated[int, Field(ge=2, le=20, description="fine-tunings")] = 3
    learning_rates: Annotated[
        tuple[Annotated[float, Gt(0)], ...], Field(min_length=1, description="of the runs, in turn")
    ] = (0.02, 0.01, 0.03)
    alpha: Annotated[float, Field(ge=0, le=1, description="weight of the labels")] = 0.1
    temperature: Annotated[float, Gt(0)] = 4.0
    epochs: Annotated[int, Ge(1)] = 10
    batch_size: Annotated[int, Ge(1)] = 64
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "teacher", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    values_only: ClassVar[bool] = True
    gentler: ClassVar[str] = "more `epochs`"

    @property
    def trains(self) -> bool:
        """Always."""
        return True

    def run(self, io: StepIO) -> None:
        """Fine-tune, mix, save."""
        model = checkpoint.load(io.path("model"))
        states = []
        for number in range(self.runs):
            tuned = checkpoint.load(self._tuned(io, number))
            states.append({name: each.clone() for name, each in tuned.module.state_dict().items()})
        training.seeded(self.seed)
        names = [f"run {number + 1}" for number in range(self.runs)]
        line = _soup.cook(io, model.module, states, self.way, names)
        checkpoint.save(model, io.output)
        notes.write(io.output, [line])

    def _tuned(self, io: StepIO, number: int) -> Path:
        """The folder of one fine-tuned model; one that an interrupted soup has finished is taken as it is."""
        home = io.partial or io.scratch
        done, part, kept = (home / f"run{number}{end}" for end in ("", ".part", ".kept"))
        if not done.is_dir():
            for folder in (part, kept, io.scratch / f"own{number}"):
                folder.mkdir(parents=True, exist_ok=True)
            share = _Share(io, number, self.runs)
            own = replace(io, output=part, partial=kept, scratch=io.scratch / f"own{number}", progress=share)
            self._run(number).run(own)
            os.replace(part, done)
        return done

    def _run(self, number: int) -> Distill:
        """How one model is fine-tuned."""
        rate = self.learning_rates[number % len(self.learning_rates)]
        return Distill(
            alpha=self.alpha,
            temperature=self.temperature,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=rate,
            weight_decay=self.weight_decay,
            seed=self.seed + number,
        )


@dataclass(frozen=True, slots=True)
class _Share:
    """Progress of one run as a part of the whole's."""

    io: StepIO
    number: int
    runs: int

    def __call__(self, done: float, note: str, *, step: int = 0, **scalars: float) -> None:
        self.io.progress((self.number + done) / self.runs, f"run {self.number + 1}: {note}", step=step, **scalars)
