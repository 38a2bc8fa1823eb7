"""Metrics of the candidate's and its float baseline's answers on held-out examples, and how sure their change is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import dataset, documents, evidence, tasks
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.errors import StepError
from edgebuild.spec.rows import Chosen
from edgebuild.spec.signature import Head
from edgebuild.steps.evidence import _changes
from edgebuild.steps.evidence._outputs import of_head, origin, read, rows

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Mask, Rows

_WORST = 5  # examples that are named because they lost most


@dataclass(frozen=True, slots=True)
class Scores(Step):
    """`metrics` are a head, a metric of its answers and the confidence of its limits each; `labels` name the classes of
    a head.

    Inputs: `candidate` and `baseline`, the outputs of both. Where the device ran some of the examples, the candidate's
    are those alone, and the baseline is compared on the same ones: nothing has to be said about the others. A task that
    is judged by what the original answers has the baseline's answers in the place of labels.
    """

    metrics: tuple[tuple[str, str, float], ...]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("candidate", "baseline", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`; a metric without a value has the reason in its place."""
        ours, theirs = read(io.path("candidate")), read(io.path("baseline"))
        test, slices = dataset.read(io.path("data"), "test"), dataset.slices(io.path("data"))
        same = rows(io.path("candidate"), len(test), len(ours[0]))
        heads: dict[str, evidence.Changes] = {}
        inputs = [Chosen(values, same) for values in test.inputs]
        for head, targets in zip(dataset.heads(io.path("data")), test.labels, strict=True):
            metrics = tuple((metric, confidence) for name, metric, confidence in self.metrics if name == head.name)
            if metrics:
                io.progress(len(heads) / len(test.labels), head.name)
                answers = _compared(head, ours, theirs, inputs, targets[same], same)
                for alike in (dataset.groups(io.path("data"), "test"), dataset.streams(io.path("data"), "test")):
                    if alike is not None and answers.streams is None:
                        answers = replace(answers, streams=alike[same])
                masks = {name: mask[same] for name, mask in slices.items()}
                heads[head.name] = self._head(head, metrics, answers, masks)
        without = dataset.without_labels(io.path("data"))
        scores = evidence.Scores(origin(io.path("candidate")), len(ours[0]), len(test), heads, without)
        documents.write(io.output / evidence.FILE, scores)

    def _head(
        self,
        head: Head,
        metrics: tuple[tuple[str, float], ...],
        answers: _changes.Compared,
        slices: Mapping[str, Mask],
    ) -> evidence.Changes:
        """The metrics of one head, on each slice, of each class and of each value."""
        changes: dict[str, dict[str, evidence.Change | evidence.Undefined]] = {}
        values: dict[str, dict[str, tuple[evidence.Change | evidence.Undefined, ...]]] = {}
        for metric, confidence in metrics:
            changes.setdefault(metric, {})[str(confidence)] = _changes.change(metric, confidence, answers)
            if each := _changes.by_value(metric, confidence, answers):
                values.setdefault(metric, {})[str(confidence)] = each
        names = [*dict.fromkeys(name for name, _ in metrics)]
        parts = {name: _part(names, answers.take(mask)) for name, mask in slices.items()}
        classes = _changes.by_class(names, answers, self.labels.get(head.name, ()))
        return evidence.Changes(changes, parts, classes, values, answers.worst(_WORST))


def _compared(
    head: Head, ours: list[Array], theirs: list[Array], inputs: Sequence[Rows], targets: Array, same: Array
) -> _changes.Compared:
    """Both files' answers to the same examples, in numbers `same`."""
    mine, baseline = of_head(head, ours), of_head(head, theirs)
    shapes = [[list(values.shape[1:]) for values in answers] for answers in (mine, baseline)]
    if shapes[0] != shapes[1] or len(mine[0]) > len(baseline[0]):
        shown = " and ".join(str(list(values.shape)) for values in mine)
        others = " and ".join(str(list(values.shape)) for values in baseline)
        raise StepError(f"outputs {shown} cannot be compared with the baseline's {others}")
    task, baseline = tasks.of(head), [values[same] for values in baseline]
    if task.original:
        targets = baseline[0]
    expected = task.targets(targets, inputs)
    errors = (None, None) if task.choice else (task.errors(mine, expected), task.errors(baseline, expected))
    return _changes.Compared(task.scored(mine, inputs), task.scored(baseline, inputs), targets, same, *errors)


def _part(metrics: Iterable[str], answers: _changes.Compared) -> evidence.Part:
    """The values of every metric on a slice, told and not judged."""
    return evidence.Part(len(answers.ours), {name: _changes.values(name, answers) for name in metrics})
