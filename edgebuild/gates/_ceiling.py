"""Limits on what is counted, not measured: absolute or against the float baseline, exact, on any machine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from edgebuild.gates._remedies import smaller
from edgebuild.spec.evidence import Evidence, Status, Verdict
from edgebuild.spec.metric import Metric, Tried
from edgebuild.spec.target import Fidelity, Gate, reaches
from edgebuild.spec.units import SHARE, parse


class Ceiling(NamedTuple):
    """A limit as written: an amount, or a change of the baseline's."""

    amount: float | None
    change: float | None

    def implies(self, other: Ceiling) -> bool:
        """Whether what is inside this limit is inside the other, whatever the baseline is."""
        if self.amount is not None and other.amount is not None:
            return self.amount <= other.amount
        return self.change is not None and other.change is not None and self.change <= other.change

    @property
    def unchanged(self) -> bool | None:
        """Whether the baseline itself is inside; None for a limit that is on no change."""
        return None if self.change is None else self.change >= 0

    def most(self, baseline: float) -> float:
        """The largest count that is inside, given the baseline's."""
        if self.amount is not None:
            return self.amount
        # Rounded, for 1 − 0.9 is not 0.1 to a computer, and a file of exactly a tenth is inside "-90 %".
        return round(baseline * (1 + (self.change or 0.0)), 6)


class Counts(NamedTuple):
    """What was counted of the candidate and of its float baseline, and by how much a count may vary, as a share."""

    ours: float
    theirs: float
    tolerance: float = 0.0


def read(text: str, units: dict[str, float] | dict[str, int], noun: str) -> Ceiling:
    """A limit such as "9.1 M" or "-50 %"; ValueError with what is wrong, `noun` being what is limited."""
    if "%" in text:
        change = parse(text, SHARE)
        if change <= -1:
            raise ValueError(f"{noun} cannot shrink by 100 % or more, got {text!r}")
        return Ceiling(None, change)
    amount = parse(text, units)
    if amount <= 0:
        raise ValueError(f"{noun} must be above zero, got {text!r}")
    return Ceiling(amount, None)


def judge(
    gate: Gate, ceiling: Ceiling, counts: Counts, unit: str, show: Callable[[float], str], fidelity: Fidelity
) -> Verdict:
    """Pass when the count is not above the limit, else fail; inconclusive only nearer to it than counts repeat."""
    most, (ours, theirs, tolerance) = ceiling.most(counts.theirs), counts
    # The limit varies too where it is relative to a count.
    spread = tolerance * (ours + (most if ceiling.amount is None else 0.0))
    status: Status = "pass" if ours + spread <= most else "fail" if ours - spread > most else "inconclusive"
    reason = f"{show(ours)} of at most {show(most)}; the float file has {show(theirs)}"
    if status == "inconclusive":
        reason += f", and counts repeat within {tolerance:.2%} only"
    elif status == "fail" and most > 0:
        reason += f"; {ours / most - 1:.1%} too much"
    elif status == "pass" and not reaches(fidelity, gate.fidelity):
        status, reason = "inconclusive", f"{reason}, but only {fidelity}; the gate asks for {gate.fidelity}"
    return Verdict(gate.metric, gate.limit, unit, status, reason, fidelity, 1, ours, ours - spread, ours + spread)


class Counted(Metric[Ceiling]):
    """What metrics that are counted share: exact limits, in `units` of a `noun`, and how a verdict writes counts."""

    regression: ClassVar[str | None] = "+1 %"
    noun: ClassVar[str]
    units: ClassVar[dict[str, float] | dict[str, int]]
    unit: ClassVar[str]
    show: ClassVar[staticmethod[[float], str]]

    @classmethod
    def limit(cls, text: str) -> Ceiling:
        """The limit; ValueError where it has no unit or no sense."""
        return read(text, cls.units, cls.noun)

    @classmethod
    def drawn(cls, text: str, unit: str, baseline: float) -> float | None:
        """The most that may be, of what is counted in this unit in a file alone."""
        return cls.limit(text).most(baseline) if cls.unit == unit and cls.asks(text) is None else None

    @classmethod
    def implies(cls, strong: Ceiling, weak: Ceiling) -> bool:
        """Whether what is inside one limit is inside the other, whatever the baseline is."""
        return strong.implies(weak)

    @staticmethod
    @abstractmethod
    def counts(evidence: Evidence) -> Counts:
        """What the evidence counted of both files."""

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """Pass when there is not more than the limit, else fail."""
        return judge(gate, self.limit(gate.limit), self.counts(evidence), self.unit, self.show, "hardware")

    def excess(self, gate: Gate, verdict: Verdict, evidence: Evidence) -> float:
        """By which share of the limit the count is beyond it."""
        counts = self.counts(evidence)
        most = self.limit(gate.limit).most(counts.theirs)
        return counts.ours / most - 1 if most > 0 else float(counts.ours > 0)

    def mend(self, gate: Gate, verdict: Verdict, evidence: Evidence, tried: Tried) -> str:
        """What takes more away."""
        return smaller(tried)
