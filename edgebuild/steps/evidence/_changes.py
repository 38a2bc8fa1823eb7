"""What a metric makes of two files' answers to the same examples: as a whole, and of each class and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgebuild.gates.statistics.bootstrap import UndefinedError, change_bound
from edgebuild.spec import evidence
from edgebuild.spec.errors import StepError
from edgebuild.spec.evidence import Change, Undefined, Values
from edgebuild.spec.metric import Scored
from edgebuild.spec.registry import GATES

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Mask
    from edgebuild.spec.task import Errors

_MOST_VALUES = 100  # of a vector that are judged one by one


@dataclass(frozen=True, slots=True)
class Compared:
    """What both files answer [n, …] as metrics take it, and what they should; the examples' numbers, and their errors
    where these are known.
    """

    ours: Array
    theirs: Array
    targets: Array
    numbers: Array
    our_errors: Errors | None = None
    their_errors: Errors | None = None
    streams: Array | None = None

    def take(self, rows: Mask) -> Compared:
        """Those of some examples."""
        return Compared(self.ours[rows], self.theirs[rows], self.targets[rows], self.numbers[rows])

    def value(self, place: int) -> Compared:
        """One value of vectors, [n, 1]."""
        ours, theirs, targets = (each[:, place : place + 1] for each in (self.ours, self.theirs, self.targets))
        return replace(self, ours=ours, theirs=theirs, targets=targets)

    def worst(self, most: int) -> tuple[evidence.Worse, ...]:
        """The examples whose error grew most, as far as any did."""
        import numpy as np

        if self.our_errors is None or self.their_errors is None:
            return ()
        order = np.argsort(self.their_errors - self.our_errors, kind="stable")[:most]
        rows = [(int(self.numbers[k]), float(self.our_errors[k]), float(self.their_errors[k])) for k in order]
        return tuple(evidence.Worse(*row) for row in rows if row[1] > row[2])


def values(metric: str, answers: Compared) -> Values | Undefined:
    """The metric of both files, or why it has none."""
    import numpy as np

    if not len(answers.ours):
        return Undefined(f"{metric} has no value: there are no examples")
    every, score = np.ones(len(answers.ours)), _metric(metric).score
    try:
        return Values(score(answers.ours, answers.targets)(every), score(answers.theirs, answers.targets)(every))
    except UndefinedError as error:
        return Undefined(f"{metric} {error}")


def change(metric: str, confidence: float, answers: Compared) -> Change | Undefined:
    """The metric of both files, and by how much it changed for the worse."""
    kind = _metric(metric)
    try:
        ours, theirs = (kind.score(each, answers.targets) for each in (answers.ours, answers.theirs))
        both = values(metric, answers)
        if isinstance(both, Undefined):
            return both
        bound = change_bound(
            lambda w: kind.change(ours(w), theirs(w)),
            len(answers.ours),
            confidence,
            discrete=kind.discrete,
            resamples=kind.resamples,
            streams=answers.streams,  # type: ignore[arg-type]
        )
    except UndefinedError as error:
        return Undefined(f"{metric} {error}")
    return Change(both.candidate, both.baseline, *bound)


def by_value(metric: str, confidence: float, answers: Compared) -> tuple[Change | Undefined, ...]:
    """The same of each value of a vector, for a metric that is judged so; nothing for others.

    All must be inside a limit to pass, so `high` needs no correction (intersection-union test, Berger 1982); one beyond
    is enough to fail, so `low` holds for all at once (Bonferroni).
    """
    shape = answers.targets.shape
    if not _metric(metric).by_value or len(shape) != 2 or not 1 < shape[1] <= _MOST_VALUES:
        return ()
    return tuple(_of_value(metric, confidence, answers.value(place), shape[1]) for place in range(shape[1]))


def _of_value(metric: str, confidence: float, answers: Compared, count: int) -> Change | Undefined:
    alone = change(metric, confidence, answers)
    together = change(metric, 1 - (1 - confidence) / count, answers)
    if isinstance(alone, Undefined) or isinstance(together, Undefined):
        return alone
    return replace(alone, low=together.low)


def by_class(metrics: Iterable[str], answers: Compared, names: Sequence[str]) -> Mapping[str, evidence.Part]:
    """The metrics of each class on its own, for those that are means over classes; classes by their names."""
    parts: dict[str, evidence.Part] = {}
    for metric in metrics:
        kind = _metric(metric)
        ours, theirs = (kind.by_class(each, answers.targets) for each in (answers.ours, answers.theirs))
        for number, (n, value) in ours.items():
            name = names[number] if number < len(names) else str(number)
            known = parts.get(name, evidence.Part(n, {}))
            both = Values(value, theirs[number][1])
            parts[name] = replace(known, metrics={**known.metrics, metric: both})
    return parts


def _metric(name: str) -> type[Scored]:
    """The metric of this name; StepError for one that has no value to resample."""
    kind = GATES.get(name)
    if not issubclass(kind, Scored):
        raise StepError(f"{name} has no value that could be resampled")
    return kind
