"""Metrics of the candidate's and its float baseline's answers on held-out examples, and how sure their change is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from edgebuild.gates.statistics.bootstrap import UndefinedError, change_bound
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.errors import StepError
from edgebuild.spec.registry import GATES
from edgebuild.steps.evidence.parity import first_output


@dataclass(frozen=True, slots=True)
class Scores:
    """`metrics` are pairs of a metric and the confidence of its limits.

    Inputs: `candidate` and `baseline`, the outputs of both. Where the device ran some of the examples, the candidate's
    are those alone, and the baseline is compared on the same ones: nothing has to be said about the others.
    """

    metrics: tuple[tuple[str, float], ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("candidate", "baseline", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`; a metric without a value has the reason in its place."""
        ours, theirs = first_output(io.path("candidate")), first_output(io.path("baseline"))
        targets = dataset.read(io.path("data"), "test").labels
        if ours.ndim != 2 or ours.shape[1:] != theirs.shape[1:] or len(ours) > len(theirs):
            raise StepError(f"outputs {list(ours.shape)} cannot be compared with the baseline's {list(theirs.shape)}")
        same = dataset.chosen(len(targets), len(ours))
        metrics: dict[str, Any] = {}
        for number, (metric, confidence) in enumerate(self.metrics):
            io.progress(number / len(self.metrics), metric)
            found = _measured(metric, confidence, ours, theirs[same], targets[same])
            metrics.setdefault(metric, {})[str(confidence)] = found
        slices = {}
        for name, mask in dataset.slices(io.path("data")).items():
            rows = same[mask[same]]
            slices[name] = self._of_part(ours[mask[same]], theirs[rows], targets[rows])
        origin = json.loads((io.path("candidate") / "origin.json").read_text())
        whole = {"n": len(ours), "of": len(targets), "origin": origin, "metrics": metrics, "slices": slices}
        (io.output / "evidence.json").write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")

    def _of_part(self, ours: Any, theirs: Any, targets: Any) -> dict[str, Any]:
        """The values of every metric on a slice, told and not judged."""
        found: dict[str, Any] = {"n": len(ours)}
        for metric in {name: None for name, _ in self.metrics}:
            found[metric] = _values(metric, ours, theirs, targets)
        return found


def _values(metric: str, ours: Any, theirs: Any, targets: Any) -> dict[str, Any]:
    import numpy as np

    if not len(ours):
        return {"undefined": f"{metric} has no value: there are no examples"}
    try:
        every, score = np.ones(len(ours)), GATES.get(metric).score
        return {"candidate": score(ours, targets)(every), "baseline": score(theirs, targets)(every)}
    except UndefinedError as error:
        return {"undefined": f"{metric} {error}"}


def _measured(metric: str, confidence: float, ours: Any, theirs: Any, targets: Any) -> dict[str, Any]:
    found, kind = _values(metric, ours, theirs, targets), GATES.get(metric)
    if "undefined" in found:
        return found
    candidate, baseline = kind.score(ours, targets), kind.score(theirs, targets)
    try:
        bound = change_bound(
            lambda w: kind.change(candidate(w), baseline(w)), len(ours), confidence, discrete=kind.discrete
        )
    except UndefinedError as error:
        return {"undefined": f"{metric} {error}"}
    return found | bound._asdict()
