"""What each technique of a recipe changed: bytes, operations, counted work, predicted time, right answers."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.devices.timing import predicted
from edgebuild.gates.statistics import paired, ratio
from edgebuild.nn import checkpoint
from edgebuild.spec import compressors, dataset
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.core import TimeModel
from edgebuild.spec.model import Task
from edgebuild.spec.registry import FORMATS
from edgebuild.steps.evidence.accuracy import read_hits
from edgebuild.steps.evidence.parity import first_output

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array

# A smaller change is neither gain nor cost: retrained weights compress a little better or worse by chance.
_NOTICEABLE = {"bytes": 0.01, "compressed": 0.03, "seconds": 0.01}
_SIZES = ("bytes", "parameters", "macs")


@dataclass(frozen=True, slots=True)
class Proof:
    """Inputs by state, 0 the float model and k what the k-th of `stages` made: `made/<k>`, `footprint/<k>`,
    `outputs/<k>` on the validation examples and, where the target's work can be counted, `count/<k>` and, with the
    state before, `shared/<k>`; and the data. Where the target is timed, `times` has those of the distinct files, of
    which `files[k]` is the one of state k.

    A gain is believed at once, a cost only when it is proved: what a build may leave out must have cost something and
    bought nothing. So time is a cost only beyond the band of the time model, and accuracy only when Tango's bound is
    above zero.
    """

    stages: tuple[str, ...]
    files: tuple[int, ...] = ()
    model: TimeModel | None = None
    clock: float | None = None
    threads: int = 1

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("data",)
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False
    versions: ClassVar[Callable[[], dict[str, str]]] = staticmethod(compressors.versions)

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`: for each technique before and after, what it bought, what it cost."""
        task, labels = dataset.task(io.path("data")), dataset.read(io.path("data"), "validation").labels
        places = [io.path(f"outputs/{number}") for number in range(len(self.stages) + 1)]
        times = json.loads((io.path("times") / "evidence.json").read_text()) if "times" in io.inputs else None
        states = [self._state(io, number, times) for number in range(len(places))]
        steps = []
        for number, name in enumerate(self.stages):
            before, after = states[number], states[number + 1]
            drop = _drop(task, labels, places[number], places[number + 1])
            slower = self._slower(times, number) if times else None
            weighed = self.weigh(before, after, drop, slower, self._band(io, number + 1, before, after))
            steps.append({"step": name, "before": before, "after": after, **weighed})
        examples = {"n": len(labels), "cut": dataset.is_cut(io.path("data"))}
        found = {"steps": steps, "task": task, "validation": examples}
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

    def weigh(
        self,
        before: dict[str, Any],
        after: dict[str, Any],
        drop: paired.Bound,
        slower: ratio.Shift | None = None,
        band: float | None = None,
    ) -> dict[str, Any]:
        """What a step bought and cost, by name; `useless` when it cost something and bought nothing.

        `drop` is what the answers lost (see `_drop`), with its one-sided 95 % limits; `slower`, where time was
        measured, the log-ratio of after to before with its two-sided 90 % interval; `band`, where it is predicted, the
        most by which a ratio may be too large.
        """
        changes = {name: after[name] / before[name] - 1 for name in _NOTICEABLE if name in before and name in after}
        limits = _NOTICEABLE | ({"seconds": max(band, _NOTICEABLE["seconds"])} if band is not None else {})
        if slower is not None:
            changes["seconds"] = math.expm1(slower.estimate)
            limits["seconds"] = _NOTICEABLE["seconds"] if slower.low > math.log1p(_NOTICEABLE["seconds"]) else math.inf
        gains = [name for name, change in changes.items() if change < -_NOTICEABLE[name]]
        costs = [name for name, change in changes.items() if change > limits[name]]
        if drop.high < 0:
            gains.append("accuracy")
        elif drop.low > 0:
            costs.append("accuracy")
        return {"drop": drop._asdict(), "gains": gains, "costs": costs, "useless": bool(costs) and not gains}

    def _slower(self, times: dict[str, Any], number: int) -> ratio.Shift | None:
        """How much more time a stage takes than the one before; None for the same file, or a disturbed device."""
        before, after = self.files[number], self.files[number + 1]
        if after != before + 1 or times["void"]:
            return None
        return ratio.hodges_lehmann(times["log_ratios"][before], confidence=0.9)

    def _band(self, io: StepIO, number: int, before: dict[str, Any], after: dict[str, Any]) -> float | None:
        """By how much the predicted ratio of this state's time to that of the one before may be too large."""
        if self.model is None:
            return None
        shared = json.loads((io.path(f"shared/{number}") / "evidence.json").read_text())
        seconds = {"candidate": after["seconds"], "baseline": before["seconds"]}
        return predicted.ratio_limits(self.model.ratio_band, seconds, shared)[1] - 1

    def _state(self, io: StepIO, number: int, times: dict[str, Any] | None) -> dict[str, Any]:
        """Sizes, work and time of one state; `compressed` shows what sparse or shared weights save in a download."""
        weighed = json.loads((io.path(f"footprint/{number}") / "evidence.json").read_text())["candidate"]
        found: dict[str, Any] = {name: weighed[name] for name in _SIZES}
        made = io.inputs[f"made/{number}"]
        file = checkpoint.WEIGHTS if made.kind == "torch" else FORMATS.get(made.kind).file
        coded = weighed["download"] < weighed["bytes"]
        found["compressed"] = weighed["download"] if coded else len(zlib.compress((made.path / file).read_bytes()))
        if weighed["download"] < weighed["bytes"]:
            found["compressed"] = weighed["download"]
        if self.model is not None and self.clock is not None:
            counted = json.loads((io.path(f"count/{number}") / "evidence.json").read_text())
            found["instructions"] = counted["instructions"]
            found["seconds"] = predicted.seconds(counted, self.model, self.clock, self.threads)
        elif times is not None:
            found["seconds"] = times["seconds"][self.files[number]]
        return found


def _drop(task: Task, labels: Array, before: Path, after: Path) -> paired.Bound:
    """What the answers lost: share of right ones (Tango's bounds), or growth of the mean error (Student's t).

    The error of an example is its mean absolute difference from the target; of an embedding, 1 − cosine.
    """
    import numpy as np

    if task == "classification":
        pairs = paired.count_pairs(read_hits(after, labels), read_hits(before, labels))
        return paired.drop_bound(pairs.lost, pairs.won, pairs.n)
    wanted = labels.reshape(len(labels), -1).astype(np.float64)
    errors = []
    for folder in (before, after):
        given = first_output(folder).reshape(len(labels), -1).astype(np.float64)
        if task == "regression":
            errors.append(np.abs(given - wanted).mean(1))
        else:
            lengths = np.linalg.norm(given, axis=1) * np.linalg.norm(wanted, axis=1)
            errors.append(1 - (given * wanted).sum(1) / np.maximum(lengths, np.finfo(np.float64).tiny))
    return paired.mean_bound(errors[1] - errors[0])
