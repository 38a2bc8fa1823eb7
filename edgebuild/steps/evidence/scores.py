"""Metrics of the candidate's and its float baseline's answers on held-out examples, and how sure their change is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgebuild.gates.statistics.bootstrap import UndefinedError, change_bound
from edgebuild.spec import dataset, documents, evidence
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.errors import StepError
from edgebuild.spec.metric import Scored
from edgebuild.spec.registry import GATES
from edgebuild.steps.evidence._outputs import of_head, origin, read

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array, Mask


@dataclass(frozen=True, slots=True)
class Scores(Step):
    """`metrics` are a head, a metric of its answers and the confidence of its limits each.

    Inputs: `candidate` and `baseline`, the outputs of both. Where the device ran some of the examples, the candidate's
    are those alone, and the baseline is compared on the same ones: nothing has to be said about the others.
    """

    metrics: tuple[tuple[str, str, float], ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("candidate", "baseline", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`; a metric without a value has the reason in its place."""
        ours, theirs = read(io.path("candidate")), read(io.path("baseline"))
        labels, slices = dataset.read(io.path("data"), "test").labels, dataset.slices(io.path("data"))
        heads: dict[str, evidence.Changes] = {}
        for head, targets in zip(dataset.heads(io.path("data")), labels, strict=True):
            metrics = tuple((metric, confidence) for name, metric, confidence in self.metrics if name == head.name)
            if metrics:
                io.progress(len(heads) / len(labels), head.name)
                answers = of_head(head, ours)[0], of_head(head, theirs)[0]
                heads[head.name] = self._head(metrics, *answers, targets, slices)
        scores = evidence.Scores(origin(io.path("candidate")), len(ours[0]), len(labels[0]), heads)
        documents.write(io.output / evidence.FILE, scores)

    def _head(
        self,
        metrics: tuple[tuple[str, float], ...],
        ours: Array,
        theirs: Array,
        targets: Array,
        slices: Mapping[str, Mask],
    ) -> evidence.Changes:
        """The metrics of one head, and on each slice."""
        if ours.shape[1:] != theirs.shape[1:] or len(ours) > len(theirs):
            raise StepError(f"outputs {list(ours.shape)} cannot be compared with the baseline's {list(theirs.shape)}")
        same = dataset.chosen(len(targets), len(ours))
        changes: dict[str, dict[str, evidence.Change | evidence.Undefined]] = {}
        for metric, confidence in metrics:
            change = _change(metric, confidence, ours, theirs[same], targets[same])
            changes.setdefault(metric, {})[str(confidence)] = change
        names, parts = dict.fromkeys(name for name, _ in metrics), {}
        for name, mask in slices.items():
            rows = same[mask[same]]
            parts[name] = _part(names, ours[mask[same]], theirs[rows], targets[rows])
        return evidence.Changes(changes, parts)


def _part(metrics: Iterable[str], ours: Array, theirs: Array, targets: Array) -> evidence.Part:
    """The values of every metric on a slice, told and not judged."""
    return evidence.Part(len(ours), {name: _values(name, ours, theirs, targets) for name in metrics})


def _metric(name: str) -> type[Scored]:
    """The metric of this name; StepError for one that has no value to resample."""
    kind = GATES.get(name)
    if not issubclass(kind, Scored):
        raise StepError(f"{name} has no value that could be resampled")
    return kind


def _values(metric: str, ours: Array, theirs: Array, targets: Array) -> evidence.Values | evidence.Undefined:
    import numpy as np

    if not len(ours):
        return evidence.Undefined(f"{metric} has no value: there are no examples")
    try:
        every, score = np.ones(len(ours)), _metric(metric).score
        return evidence.Values(score(ours, targets)(every), score(theirs, targets)(every))
    except UndefinedError as error:
        return evidence.Undefined(f"{metric} {error}")


def _change(
    metric: str, confidence: float, ours: Array, theirs: Array, targets: Array
) -> evidence.Change | evidence.Undefined:
    """The metric of both files, and by how much it changed for the worse."""
    values, kind = _values(metric, ours, theirs, targets), _metric(metric)
    if isinstance(values, evidence.Undefined):
        return values
    candidate, baseline = kind.score(ours, targets), kind.score(theirs, targets)
    try:
        bound = change_bound(
            lambda w: kind.change(candidate(w), baseline(w)), len(ours), confidence, discrete=kind.discrete
        )
    except UndefinedError as error:
        return evidence.Undefined(f"{metric} {error}")
    return evidence.Change(values.candidate, values.baseline, *bound)
