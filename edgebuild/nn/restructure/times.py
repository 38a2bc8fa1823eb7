"""What layers take on the target: counted seconds by runtime, or multiply-accumulates where nothing counts for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebuild.spec.evidence import LayerShape, WidthCurves

Cost = Callable[[LayerShape], float]
OPERATIONS = "multiply-accumulates"  # what stands in the place of a runtime's seconds


@dataclass(frozen=True, slots=True)
class Exchange:
    """The layers that one thing in a model is, and those that it would be."""

    before: tuple[LayerShape, ...]
    after: tuple[LayerShape, ...] = ()


@dataclass(frozen=True, slots=True)
class Times:
    """The cost of shapes by runtime, and of all layers of the model, against which shares are.

    error: relative error of the ratio of two costs
    noise: the share of the whole that a difference must have to be any
    counted: whether costs are seconds
    """

    costs: Mapping[str, Cost]
    whole: Mapping[str, float]
    error: float
    noise: float
    counted: bool

    @classmethod
    def of(cls, work: Sequence[LayerShape], runtimes: Mapping[str, WidthCurves]) -> Times:
        """For a model with these layers, one shape for each use of a weight."""
        costs: dict[str, Cost] = {
            name: {curve.shape: curve.outputs[-1].seconds for curve in curves.curves}.__getitem__
            for name, curves in runtimes.items()
        }
        costs = costs or {OPERATIONS: _operations}
        whole = {name: sum(map(cost, work)) for name, cost in costs.items()}
        error = max((one.error for one in runtimes.values()), default=0.0)
        noise = sum(one.noise / (whole[name] or 1.0) for name, one in runtimes.items()) / max(len(runtimes), 1)
        return cls(costs, whole, error, noise, bool(runtimes))

    def each(self, shapes: Iterable[LayerShape]) -> dict[str, float]:
        """What these take together in each runtime."""
        every = (*shapes,)
        return {name: sum(map(cost, every)) for name, cost in self.costs.items()}

    def shares(self, shapes: Iterable[LayerShape]) -> dict[str, float]:
        """The same as shares of the whole."""
        return {name: cost / (self.whole[name] or 1.0) for name, cost in self.each(shapes).items()}

    def share(self, shapes: Iterable[LayerShape]) -> float:
        """The mean of the shares in all runtimes."""
        shares = self.shares(shapes)
        return sum(shares.values()) / len(shares)

    def saved(self, one: Exchange) -> float:
        """The share of the whole that goes; less than none where the exchange takes longer."""
        return self.share(one.before) - self.share(one.after)

    def pays(self, one: Exchange) -> bool:
        """Whether it saves more than the error of the ratio of both, and than the noise of a difference."""
        before, after = self.share(one.before), self.share(one.after)
        return after < (1 - self.error) * before and before - after > self.noise

    def why_not(self, one: Exchange) -> str:
        """Why an exchange does not pay; empty where it does."""
        if self.pays(one):
            return ""
        if self.saved(one) > 0:
            far = self.share(one.after) < (1 - self.error) * self.share(one.before)
            return "too little to tell" if far else f"within the error of ±{self.error:.0%}"
        return "it would take longer" if self.saved(one) < 0 else "it takes no time of its own"

    def left(self, exchanged: Sequence[Exchange]) -> dict[str, Any]:
        """What is left of the whole after these, as plain data for a record: the mean, and by runtime."""
        gone = [(self.shares(one.before), self.shares(one.after)) for one in exchanged]
        shares = {name: 1 - sum(before[name] - after[name] for before, after in gone) for name in self.costs}
        mean = sum(shares.values()) / len(shares)
        return {"left": mean, "counted": self.counted, "runtimes": shares if self.counted else {}}

    def told(self, one: Exchange) -> str:
        """Before and after in words, in the order of the runtimes."""
        pairs = zip(self.each(one.before).values(), self.each(one.after).values(), strict=True)
        if not self.counted:
            return ", ".join(f"{before:,.0f} → {after:,.0f}" for before, after in pairs)
        return ", ".join(f"{1e6 * before:.3g} → {1e6 * after:.3g}" for before, after in pairs) + " µs"

    @property
    def unit(self) -> str:
        """What `told` counts."""
        return f"counted time in {' and '.join(self.costs)}" if self.counted else OPERATIONS


def _operations(shape: LayerShape) -> float:
    return float(shape.macs)


def remarks(
    times: Times, exchanges: Mapping[str, Exchange], taken: Sequence[str], reasons: Mapping[str, str]
) -> list[str]:
    """What was exchanged, and what was left and why, a line each, with the cost before and after."""
    costs = {name: f"{name!r} {times.told(one)}" for name, one in exchanges.items()}
    left = [f"{line} ({reasons[name]})" for name, line in costs.items() if name not in taken]
    lines = {"exchanged": [costs[name] for name in exchanges if name in taken], "left": left}
    return [f"{word}, {times.unit}: {'; '.join(each)}" for word, each in lines.items() if each]
