"""How many examples to run next on a slow device, and when to stop: by what gates need, and by the time there is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from edgebuild.spec.evidence import Cut, Looks
from edgebuild.spec.target import Gate
from edgebuild.spec.units import show_seconds

_FEW = 50  # run in any case, as far as a tenth of the time allows: for parity, and to see whether the bits are the same
_SHARE_OF_FEW = 0.1
_HOPELESS = 1.5  # times the time that is left: a look that would take longer is not begun


Right_contra = TypeVar("Right_contra", contravariant=True)  # which of the examples that ran a device gets right
Right = TypeVar("Right")


class Decides(Protocol[Right_contra]):
    """When gates on right answers could next be decided, and which are still open."""

    def next_look(self, there: Right_contra) -> int | None:
        """The fewest examples with which another gate could be decided; None where spending more changes nothing."""

    def open(self, there: Right_contra) -> tuple[Gate, ...]:
        """The gates that are not decided."""


class Done(Protocol):
    """What has been run: how many examples, the CPU time that they took in all, and each."""

    @property
    def n(self) -> int:
        """Examples."""

    @property
    def seconds(self) -> float:
        """CPU time."""

    @property
    def each(self) -> float | None:
        """CPU time of an example; None before the first."""


@dataclass(slots=True)
class Spending(Generic[Right]):
    """`most` examples at most, in `seconds` of CPU time: those that decide, or without `deciding` those that there are.

    The gates are asked at planned looks alone, so the examples that are run do not depend on how fast they come, unless
    the time cuts them short; then `cut` tells it.
    """

    most: int
    seconds: float = math.inf
    deciding: Decides[Right] | None = None
    at: list[int] = field(default_factory=list)
    why: str = ""
    cut: Cut | None = None
    _goal: int | None = 0
    _limit: float = math.inf

    def goal(self, done: Done, right: Right | None = None) -> int | None:
        """How many examples there are to be next; None when no more are to be run.

        `right`: which of those that ran the device gets right, where gates are asked.
        """
        while self._goal is not None:
            if done.n < self._goal and not self._over(done):
                return self._goal
            if self._goal is not None and done.n >= self._goal:
                self._look(done.n, right)
        return None

    def left(self, done: Done) -> float:
        """CPU time that may still be spent on the way to the goal."""
        return max(0.0, self._limit - done.seconds)

    def looks(self) -> Looks:
        """The looks, and what the time cut off if it did."""
        return Looks(tuple(self.at), self.most, self.why, self.cut)

    def _look(self, n: int, right: Right | None) -> None:
        """Ask the gates, and plan the next look."""
        few = min(_FEW, self.most)
        if self.deciding is None or right is None:
            self._plan(n, self.most, self.seconds, "these were all")
            return
        if n:
            self.at.append(n)
        look = self.deciding.next_look(right)
        if look is not None:
            self._plan(n, max(few, look), self.seconds, "")
            return
        left = ", ".join(gate.metric for gate in self.deciding.open(right))
        why = f"no {self.most} examples could decide {left}" if left else "decided"
        self._plan(n, few, _SHARE_OF_FEW * self.seconds, why)

    def _plan(self, n: int, goal: int, limit: float, why: str) -> None:
        self._goal, self._limit, self.why = goal if n < goal else None, limit, why

    def _over(self, done: Done) -> bool:
        """Whether the time is over, or would be before a look is reached; if so there is another goal, or none."""
        if not done.n or done.each is None or self._goal is None:
            return False
        left, needed = self.left(done), (self._goal - done.n) * done.each
        whole = self._limit == self.seconds
        hopeless = whole and self.deciding is not None and needed > _HOPELESS * left
        if left > 0 and not hopeless:
            return False
        took, allowed = done.seconds + needed, self._limit
        self.cut = Cut(self._goal, round(took, 1), round(allowed, 1))
        if whole:
            took_, allowed_ = show_seconds(took), show_seconds(allowed)
            self.why = f"{self._goal} examples take about {took_} of CPU time here, and the budget allows {allowed_}"
        tenth, few = _SHARE_OF_FEW * self.seconds, min(_FEW, self.most)
        self._goal, self._limit = few if whole and done.n < few and done.seconds < tenth else None, tenth
        return True
