"""What a metric is: evidence and a limit give a verdict; every member that it need not have, with its default.

A metric is a file of `gates/`, or a class of another package under the entry point `edgebuild.gates`, and always a
subclass of `Metric`: planner, judge and steps ask its members, and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from edgebuild.spec.evidence import Evidence, Verdict
from edgebuild.spec.target import Gate, Hardware, Timing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    # A metric on given examples: from how often each counts, [N], to its value; NaN where these leave it undefined.
    Score = Callable[[NDArray[np.float64]], float]

Limit = TypeVar("Limit")


class Tried(NamedTuple):
    """The recipe that a verdict is about: its name where it has one, and the techniques that are in it.

    failed: recipes that were tried before it
    trainable: whether the model is a module, which steps on PyTorch take; where it is a file, `instead` is what would
        make one of it, as its source says
    """

    recipe: str | None = None
    steps: tuple[str, ...] = ()
    trainable: bool = True
    instead: str = ""
    failed: tuple[str, ...] = ()


class Percentile(NamedTuple):
    """A percentile of an inference's time that a limit is on, and the seconds that it may take where it says so."""

    share: float
    seconds: float | None


class Metric(ABC, Generic[Limit]):
    """What releases are judged by.

    tasks: whose answers have it; None where it is not about answers, and fits every task
    measured: which of a target's fidelities it asks for; None where it is taken from the file or the model alone
    regression: the usual limit between two releases; None where it is not held between them
    counted: the metric that is held between two releases in its place, where work is counted
    imported: whether it is about a model that comes as a file of a runtime of its own; others do not have it
    by_output: whether it judges all outputs at once and may be narrowed to one; a metric of answers is judged for each
        head whose task has it
    requires: distributions that it needs, whose versions count
    extra: the extra of edgebuild's that brings them
    """

    tasks: ClassVar[tuple[str, ...] | None] = None
    measured: ClassVar[Literal["outputs", "latency"] | None] = None
    regression: ClassVar[str | None] = None
    counted: ClassVar[str | None] = None
    imported: ClassVar[bool] = False
    by_output: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str | None] = None

    @classmethod
    @abstractmethod
    def limit(cls, text: str) -> Limit:
        """A limit as written; ValueError with what is wrong where it may mean anything."""

    @abstractmethod
    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """Pass, fail, or inconclusive, with an interval and n."""

    def mend(self, gate: Gate, verdict: Verdict, evidence: Evidence, tried: Tried) -> str:
        """What to do next where it did not pass, as the end of one line; "" where nothing is known that helps."""
        return ""

    def excess(self, gate: Gate, verdict: Verdict, evidence: Evidence) -> float:
        """By which share of the limit the estimate is beyond it; at most 0 inside, 0 where nothing can be told."""
        limit = self.limit(gate.limit)
        if isinstance(limit, float) and verdict.estimate is not None:
            return verdict.estimate / limit - 1
        return 1.0 if verdict.status == "fail" else 0.0

    @classmethod
    def drawn(cls, text: str, unit: str, baseline: float) -> float | None:
        """The most that a limit allows, in this unit, where the float model has `baseline`; None for other metrics."""
        return None

    @classmethod
    def asks(cls, text: str) -> str | None:
        """The kind of evidence that is gathered for this limit, and as long as it is not settled."""
        return None

    def settled(self, gate: Gate, evidence: Evidence) -> bool:
        """Whether more of the evidence that it `asks` for could change nothing."""
        return self.judge(gate, evidence).status != "inconclusive"

    @classmethod
    def percentile(cls, text: str) -> Percentile | None:
        """The percentile that a timing must keep for this limit."""
        return None

    @classmethod
    def unmeasurable(cls, gate: Gate, timing: Timing) -> str | None:
        """Why `timing` can never decide the gate, or None."""
        return None

    @classmethod
    def least(cls, gate: Gate) -> int:
        """Held-out examples below which it can never pass."""
        return 0

    @classmethod
    def unchanged(cls, text: str) -> bool | None:
        """Whether a file that is its own baseline is inside the limit; None for a limit that is on no change."""
        return None

    @classmethod
    def implies(cls, strong: Limit, weak: Limit) -> bool:
        """Whether what keeps one limit always keeps the other; one that is a mere number is the most that may be."""
        return strong <= weak if isinstance(strong, float) and isinstance(weak, float) else strong == weak

    @classmethod
    def applies(cls, hardware: Hardware) -> bool:
        """Whether the hardware names what limits may be shares of: where not, a policy's gate is left out."""
        return True

    @classmethod
    def on_hardware(cls, text: str, hardware: Hardware) -> str:
        """A limit in its own terms where it is a share of what the hardware has; ValueError without that."""
        return text


class Scored(Metric[float]):
    """A metric that is a value of all answers together, and is judged by the paired bootstrap.

    discrete: whether answers alone decide it, so that it moves only with those that change
    resamples: how often examples are drawn again; fewer than usual where a value takes long
    by_value: whether each value of a vector is judged on its own, as the mean of all hides one that is lost
    """

    discrete: ClassVar[bool] = False
    resamples: ClassVar[int | None] = None
    by_value: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def score(outputs: Any, targets: Any) -> Score:
        """Its value on examples, [N, …] arrays; UndefinedError for those that give it none."""

    @classmethod
    def by_class(cls, outputs: Any, targets: Any) -> Mapping[int, tuple[int, float]]:
        """By class, how many examples have it and its own value; nothing for a metric that is not made of classes'."""
        return {}

    @staticmethod
    def change(candidate: float, baseline: float) -> float:
        """How much worse the candidate's value is."""
        return baseline - candidate
