"""What an assembly answers to held-out examples: its parts' answers, joined by the rule that its bundle goes by."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import dataset, documents, drawing, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.evidence import PartRuns, PartsRuns
from edgebuild.steps.assemblies._parts import read_rule, role
from edgebuild.steps.evidence._deployed import RUNS
from edgebuild.steps.evidence._outputs import origin, read

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Mask


@dataclass(frozen=True, slots=True)
class JoinedOutputs(Step):
    """Inputs: `answers/<part>`, each part's outputs on one device, the `rule`, and the data. `router`: the module that
    joins them (`spec/joining.py`).

    Where a device ran some of the examples, those count that every part ran on.
    """

    router: str
    parts: tuple[str, ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "outputs"
    needs: ClassVar[tuple[str, ...]] = ("rule", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")
    deterministic: ClassVar[Determinism] = "same-cpu"

    def run(self, io: StepIO) -> None:
        """Write `outputs.npz` and `origin.json` as `Outputs` does, and `runs.json`: how often each part runs."""
        import numpy as np

        total = len(dataset.read(io.path("data"), "test"))
        folders = [io.path(role("answers", part)) for part in self.parts]
        answers = [read(folder) for folder in folders]
        n = min(len(each[0]) for each in answers)
        same = [[_first(values, n, total) for values in each] for each in answers]
        outputs, ran = importlib.import_module(self.router).combined(read_rule(io).rule, same)
        np.savez(io.output / "outputs.npz", **{str(place): values for place, values in enumerate(outputs)})
        shortest = min(folders, key=lambda folder: len(read(folder)[0]))
        first = origin(shortest)
        fallbacks = [fallback for folder in folders if (fallback := origin(folder).fallback)]
        documents.write(io.output / evidence.ORIGIN, replace(first, fallback="; ".join(fallbacks) or None))
        runs = {part: _runs(ran[:, place]) for place, part in enumerate(self.parts)}
        documents.write(io.output / RUNS, PartsRuns(runs))


def _first(values: Array, n: int, total: int) -> Array:
    """The first n examples in the order of drawing, or all in that of the data."""
    return values[drawing.chosen(total, n)] if len(values) == total else values[:n]


def _runs(mask: Mask) -> PartRuns:
    from edgebuild.gates.statistics import paired

    runs, of = int(mask.sum()), len(mask)
    return PartRuns(runs, of, evidence.Rate(*paired.wilson(runs, of)))
