"""What gates on measured time and memory share: limits as they are written, and rulings that become verdicts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from edgebuild.gates._remedies import faster
from edgebuild.gates._undecided import Undecided
from edgebuild.gates.statistics import percentile, ratio
from edgebuild.spec.evidence import Evidence, Processes, Samples, Status, Verdict
from edgebuild.spec.metric import Tried
from edgebuild.spec.target import Fidelity, Gate, Timing, reaches
from edgebuild.spec.units import SHARE, parse

_ERROR = 0.05  # two-sided, of the protocol
_PERCENTILE = re.compile(r"\s*p(\d+(?:\.\d+)?)\s+(.*)", re.DOTALL)


class Limit(NamedTuple):
    """A limit as written: of the median (`percentile` None) or of a percentile; a change or an absolute `value`.

    `predicted` is how far the band of a predicted change may reach; without it not beyond `change`.
    """

    percentile: float | None
    change: float | None
    value: float | None
    predicted: float | None = None

    @property
    def far(self) -> float:
        """The largest change that the band of a prediction may hold."""
        return self.predicted if self.predicted is not None else self.change or 0.0

    @property
    def unchanged(self) -> bool | None:
        """Whether the baseline itself is inside; None for a limit that is on no change."""
        return None if self.change is None else self.change >= 0

    def implies(self, other: Limit) -> bool:
        """Whether keeping this limit keeps the other: a higher percentile, of the same kind, and no larger."""
        if (self.percentile or 0.5) < (other.percentile or 0.5) or (self.change is None) != (other.change is None):
            return False
        if self.change is not None and other.change is not None:  # a ratio of p95 says nothing of that of medians
            return self.percentile == other.percentile and self.change <= other.change and self.far <= other.far
        return self.value is not None and other.value is not None and self.value <= other.value


def read_limit(text: str, units: dict[str, float] | dict[str, int], noun: str) -> Limit:
    """A limit such as "+3 %", "40 ms" or "p95 40 ms"; ValueError with what is wrong and `noun` for what is limited."""
    share, quantity = None, text
    if match := _PERCENTILE.fullmatch(text):
        share, quantity = float(match[1]) / 100, match[2]
        if not 0.5 < share < 1:
            raise ValueError(f"a percentile lies above p50, the median, which needs no word, and below p100: {text!r}")
    if "%" in quantity:
        change = parse(quantity, SHARE)
        if change <= -1:
            raise ValueError(f"{noun} cannot fall by 100 % or more, got {text!r}")
        return Limit(share, change, None)
    value = parse(quantity, units)
    if value <= 0:
        raise ValueError(f"{noun} must be above zero, got {text!r}")
    return Limit(share, None, value)


def undecidable(gate: Gate, limit: Limit, timing: Timing) -> str | None:
    """Why `timing` can never decide a gate with this limit, or None: too few processes, or inferences in them."""
    confidence = max(gate.confidence, percentile.CONFIDENCE)
    most, processes = timing.looks[-1], _least_processes(gate, limit, timing.looks)
    if most < processes:
        return f"{gate.limit!r} needs {processes} processes, and [timing] allows {most}"
    inferences = percentile.samples_needed(limit.percentile, confidence) if limit.percentile else 0
    # A change of a percentile is judged by the percentiles of single processes, a limit by all inferences.
    allowed, where = timing.iterations, "a process"
    if limit.change is None:
        allowed, where = timing.iterations * most, f"{most} processes"
    if allowed < inferences:
        return f"{gate.limit!r} needs {inferences} inferences, and [timing] allows {allowed} in {where}"
    return None


def two_sided(confidence: float) -> float:
    """The error of a two-sided interval whose ends are as sure as a gate with this one-sided confidence asks.

    A pass looks at one end, so 2·(1 − confidence) would do; the protocol's 0.05 for the usual confidence of 0.95 is
    stricter, and stays until a gate asks for more than its ends give, 0.975.
    """
    error = 1 - confidence
    return min(2 * error, max(error, _ERROR))


def _least_processes(gate: Gate, limit: Limit, looks: Sequence[int]) -> int:
    if limit.change is not None:
        return ratio.processes_needed(looks, two_sided(gate.confidence))
    if limit.percentile is not None:
        return percentile.LEAST_PROCESSES
    return percentile.processes_needed(looks, max(gate.confidence, percentile.CONFIDENCE))


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rule says of a measurement so far: "continue" while more processes may decide."""

    status: ratio.Status
    reason: str
    unit: str
    n: int
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None

    def verdict(self, gate: Gate, fidelity: Fidelity, void: str | None = None) -> Verdict:
        """The verdict at the end of the measurement; evidence that is void or of too low a fidelity proves nothing."""
        status: Status = "inconclusive" if self.status == "continue" else self.status
        reason = self.reason
        if void:
            status, reason = "inconclusive", f"{void}; until then {reason}"
        elif not reaches(fidelity, gate.fidelity):  # another core may be faster or slower
            status, reason = "inconclusive", f"{reason}, but only {fidelity}; the gate asks for {gate.fidelity}"
        ends = (self.estimate, self.low, self.high)
        return Verdict(gate.metric, gate.limit, self.unit, status, reason, fidelity, self.n, *ends, self.confidence)


def mend_timed(verdict: Verdict, tried: Tried) -> str:
    """What takes more time away, or where the measurement left it open what would settle it."""
    if verdict.status == "fail":
        return faster(tried)
    return "a quieter machine, or more processes (`looks` in [timing] of the target)"


def missing(gate: Gate, reason: str, fidelity: Fidelity = "estimated") -> Verdict:
    """The verdict where nothing was measured."""
    return Verdict(gate.metric, gate.limit, "", "inconclusive", reason, fidelity, 0)


def judge_pairs(gate: Gate, evidence: Evidence, rule: Callable[[Gate, Processes], Ruling]) -> Verdict:
    """The verdict by pairs of processes, which exist only where a device times."""
    processes = evidence.processes
    if processes is None:
        return missing(gate, "no device measured processes of one model each")
    return rule(gate, processes).verdict(gate, processes.fidelity, processes.void)


class Amount(NamedTuple):
    """What there may be more or less of: "time", "memory"; its unit, and how it is written for people."""

    name: str
    unit: str
    show: Callable[[float], str]


def rule_pairs(gate: Gate, limit: Limit, samples: Samples, looks: Sequence[int], amount: Amount) -> Ruling:
    """By values of processes: a change by the ratio of each pair, a limit by the candidate's own processes."""
    ours, theirs = samples.candidate, samples.baseline
    if not ours or len(ours) != len(theirs):
        return Ruling("inconclusive", f"the device does not tell its {amount.name}", amount.unit, 0)
    if limit.change is None:
        return rule_median(ours, limit.value or 0.0, looks, gate, amount)
    ratios = [math.log(one / other) for one, other in zip(ours, theirs, strict=True)]
    return rule_change(ratios, limit.change, looks, gate, amount.name, "pairs of processes")


def rule_change(
    log_ratios: Sequence[float], change: float, looks: Sequence[int], gate: Gate, what: str, over: str = "processes"
) -> Ruling:
    """By `ratio.judge_ratio`; `what` names what there is less or more of: "time", "memory"."""
    verdict = ratio.judge_ratio(log_ratios, change, looks, alpha=two_sided(gate.confidence))
    low, high = (math.expm1(each) if math.isfinite(each) else each for each in (verdict.low, verdict.high))
    limit, change = math.log1p(change), math.expm1(verdict.estimate)
    reason = f"{tell(change, what)} over {verdict.n} {over}"
    if verdict.status in ("continue", "inconclusive"):
        alpha = two_sided(gate.confidence)
        reason = _undecided(log_ratios[: verdict.n], limit, looks, alpha, reason, over).reason
    confidence = 1 - two_sided(gate.confidence) / 2
    return ruled(replace(verdict, estimate=change, low=low, high=high), reason, "change", confidence)


def _undecided(
    log_ratios: Sequence[float], limit: float, looks: Sequence[int], alpha: float, estimated: str, over: str
) -> Undecided:
    """Which way ratios point that are neither proved below the limit (a logarithm) nor, for a fail, above."""
    estimate = ratio.hodges_lehmann(log_ratios).estimate
    inside = estimate < limit
    error = ratio.split(alpha / 2 if inside else ratio.false_fail(alpha), looks)
    against = limit if inside else min(0.0, limit)  # a fail needs proof of some slowdown, not of one beyond the limit
    p = ratio.signed_rank_p([against - each if inside else each - against for each in log_ratios])
    needed = ratio.processes_to_decide(log_ratios, abs(estimate - against), error)
    return Undecided(estimated, inside, p, error, needed, len(log_ratios), over)


def rule_median(values: Sequence[float], limit: float, looks: Sequence[int], gate: Gate, amount: Amount) -> Ruling:
    """By `percentile.judge_median` at 0.99, or at the gate's own confidence where that is higher."""
    confidence = max(gate.confidence, percentile.CONFIDENCE)
    verdict = percentile.judge_median(values, limit, looks, confidence)
    reason = f"{amount.show(verdict.estimate)}, at most {amount.show(verdict.high)} over {verdict.n} processes"
    if not math.isfinite(verdict.high):
        needed = percentile.processes_needed(looks, confidence)
        reason = f"{verdict.n} processes are too few for any verdict: {needed} or more are needed"
    if verdict.status in ("continue", "inconclusive"):
        side = "inside" if verdict.estimate < limit else "beyond"
        reason += f"; the median so far, {amount.show(verdict.estimate)}, is {side} the limit"
    return ruled(verdict, reason, amount.unit, confidence)


def ruled(verdict: percentile.TimeVerdict | ratio.RatioVerdict, reason: str, unit: str, confidence: float) -> Ruling:
    """A verdict of the statistics, at a one-sided confidence, as a ruling; what is not bounded has no limit."""
    bounds = (verdict.estimate, verdict.low, verdict.high)
    estimate, low, high = (each if math.isfinite(each) else None for each in bounds)
    return Ruling(verdict.status, reason, unit, verdict.n, estimate, low, high, confidence)


def tell(change: float, what: str) -> str:
    """A relative change in words."""
    return f"{-change:.1%} less {what}" if change < 0 else f"{change:.1%} more {what}"
