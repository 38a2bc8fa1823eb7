"""What two files answer: right and wrong pair by pair, head by head, and how a device agrees with this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgebuild.spec.documents import named
from edgebuild.spec.evidence.origin import Origin
from edgebuild.spec.signature import ANSWER

ONLY = ANSWER  # what the one head, and the one output, of a model is called that names none


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of right answers with its two-sided 95 % interval (Wilson's)."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Clusters:
    """How examples count that are of groups, such as people: of how many, and by how much the variance of a drop is
    larger than that of as many independent examples (the design effect).
    """

    groups: int
    effect: float


@dataclass(frozen=True, slots=True)
class Group:
    """A class or slice: pairs of answers, and the drop with one-sided bounds that hold for all groups at once.

    `lost` are right in the baseline alone, `won` in the candidate alone; `unrun` did not run on the device; `together`
    as in `Answers`.
    """

    n: int
    lost: int
    won: int
    unrun: int
    drop: float
    low: float
    high: float
    confidence: float
    together: Clusters | None = None


@dataclass(frozen=True, slots=True)
class Overlap:
    """The n `of` all examples that a device ran: `lost` are right on this machine alone, `won` on the device alone."""

    n: int
    of: int
    lost: int
    won: int


@dataclass(frozen=True, slots=True)
class Answers:
    """Right answers of one head: of both files, in pairs (`lost`, `won` of `n`), of every class and slice.

    The device's own answers count where it gave any; then `device` says how these compare with this machine's. Of
    examples that are of groups `together` says how they count.
    """

    n: int
    lost: int
    won: int
    candidate: Rate
    baseline: Rate
    classes: Mapping[str, Group]
    slices: Mapping[str, Group]
    device: Overlap | None = None
    together: Clusters | None = None


@dataclass(frozen=True, slots=True)
class Differences:
    """How an output of a device differs from this machine's: in bits, in values, in what is largest.

    distinct: different values among the device's; one or two would agree with anything.
    """

    identical: bool
    distinct: int
    max_abs: float
    values_differing: int
    answers_differing: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How n `of` all examples that ran on a device compare with this machine's, output by output.

    whole: these are all the examples there are; equal bits on some do not speak for the others.
    """

    origin: Origin
    n: int
    of: int
    whole: bool
    outputs: Mapping[str, Differences]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Right answers of every head; `agreement` where a device ran beside this machine."""

    origin: Origin
    heads: Mapping[str, Answers]
    agreement: Agreement | None = None


@dataclass(frozen=True, slots=True)
class Undefined:
    """Why a metric has no value on these examples."""

    undefined: str


@dataclass(frozen=True, slots=True)
class Values:
    """A metric of both files."""

    candidate: float
    baseline: float


@dataclass(frozen=True, slots=True)
class Change:
    """A metric of both files, and its change for the worse with one-sided limits by paired bootstrap.

    `error` is the standard error of the change, `method` how the limits were computed.
    """

    candidate: float
    baseline: float
    estimate: float
    low: float
    high: float
    error: float
    method: str


@dataclass(frozen=True, slots=True)
class Part:
    """Metrics of the n examples of a slice or with a class, told and not judged."""

    n: int
    metrics: Mapping[str, Values | Undefined]


@dataclass(frozen=True, slots=True)
class Worse:
    """An example whose answer got worse: its number among those held out, and the error of both files."""

    example: int
    candidate: float
    baseline: float


@dataclass(frozen=True, slots=True)
class Changes:
    """Metrics of one head: by name, then by the confidence of their limits (as text); and of its slices and classes.

    `values` has the same for each value of a vector, where metrics are judged so: their `high` is of that confidence
    alone, their `low` holds for all at once. `worst` are the examples that lost most.
    """

    metrics: Mapping[str, Mapping[str, Change | Undefined]]
    slices: Mapping[str, Part]
    classes: Mapping[str, Part] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, tuple[Change | Undefined, ...]]] = field(default_factory=dict)
    worst: tuple[Worse, ...] = ()

    def of(self, metric: str, confidence: float) -> Change | Undefined:
        """A metric with limits of this confidence."""
        return self.metrics[metric][str(confidence)]

    def of_values(self, metric: str, confidence: float) -> tuple[Change | Undefined, ...]:
        """The same of each value of a vector; none where the metric is judged as a whole."""
        return self.values.get(metric, {}).get(str(confidence), ())


@dataclass(frozen=True, slots=True)
class Scores:
    """Metrics of every head on n `of` all examples: those that ran; `inputs` is what they are called where nobody
    labelled them.
    """

    origin: Origin
    n: int
    of: int
    heads: Mapping[str, Changes]
    inputs: str | None = field(default=None, metadata=named("inputs"))


def hits_key(role: str, head: str, heads: int) -> str:
    """Where `hits.npz` has the right answers of a file: by its role, and by head where there are several."""
    return role if heads == 1 else f"{role}.{head}"
