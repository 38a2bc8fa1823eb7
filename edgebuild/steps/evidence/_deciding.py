"""Whether a device's answers have decided the gates that they serve, and how many more could; it runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebuild.spec import drawing, evidence
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence.accuracy import counted

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Mask
    from edgebuild.steps.evidence.accuracy import Masks

# How outputs differ beyond the answers decides nothing.
_ANY = evidence.Differences(False, 0, 0.0, 0, 0)


@dataclass(frozen=True, slots=True)
class Deciding:
    """`gates` on right answers, what the host gets right of all examples ([N] bool by role), classes and slices, and
    what examples have in common ([N], None where they are independent): the judge has the same.

    At most `most` examples will run on the device, whatever comes of them. How far a gate is from being decided is
    known from the host before any has run, so the first look is placed where a decision first is possible, and each
    further one likewise. The bounds that gates use hold at every look (`measure.sampling`): looking costs nothing.
    """

    gates: tuple[Gate, ...]
    hits: Masks
    classes: Masks
    slices: Masks
    groups: Array | None
    most: int

    def next_look(self, there: Mask) -> int | None:
        """The fewest further examples with which another gate could be decided, if all their answers are the host's.

        `there` tells which of the first examples the device gets right, [n] bool; the number counts these too. None
        where every gate is decided, or `most` examples would not do it: spending more would change nothing.
        """
        looks = [self._look(gate, there) for gate in self.open(there)]
        return min((look for look in looks if look is not None), default=None)

    def open(self, there: Mask) -> tuple[Gate, ...]:
        """The gates that are not decided by the answers that there are."""
        return tuple(gate for gate in self.gates if not len(there) or not self._settled(gate, there, len(there)))

    def _look(self, gate: Gate, there: Mask) -> int | None:
        if not self._settled(gate, there, self.most):
            return None
        return _first(len(there) + 1, self.most, lambda count: self._settled(gate, there, count))

    def _settled(self, gate: Gate, there: Mask, count: int) -> bool:
        """Whether a gate would be decided by so many examples, those that did not run yet answered as by the host."""
        import numpy as np

        here = self.hits["candidate"]
        rows = drawing.chosen(len(here), count)
        answers = here[rows] if count < len(here) else here[drawing.drawn(len(here))]
        right = np.concatenate([there, answers[len(there) :]])
        if count == len(here):
            right = right[np.argsort(drawing.drawn(len(here)))]
        answers = counted(self.hits, self.classes, self.slices, right, self.groups)
        origin = evidence.Origin(gate.fidelity, "", {}, looks=evidence.Looks((), self.most, ""))
        agreement = evidence.Agreement(origin, count, len(here), count == len(here), {evidence.ONLY: _ANY})
        accuracy = evidence.Accuracy(origin, {evidence.ONLY: answers}, agreement)
        return GATES.get(gate.metric)().settled(gate, evidence.Evidence(accuracy=accuracy))


@dataclass(frozen=True, slots=True)
class Heads:
    """The same of a model's heads, each with its own gates: the device runs on until all are decided, or cannot be."""

    heads: Mapping[str, Deciding]

    def next_look(self, there: Mapping[str, Mask]) -> int | None:
        """The fewest further examples with which another gate of any head could be decided."""
        looks = [deciding.next_look(there[name]) for name, deciding in self.heads.items()]
        return min((look for look in looks if look is not None), default=None)

    def open(self, there: Mapping[str, Mask]) -> tuple[Gate, ...]:
        """The gates of all heads that are not decided by the answers that there are."""
        return tuple(gate for name, deciding in self.heads.items() for gate in deciding.open(there[name]))


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The least number from `low` to `high` for which something holds that holds for `high` and stays once it does."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return high
