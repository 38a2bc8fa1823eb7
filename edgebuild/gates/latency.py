"""Latency: the candidate's time, against a limit or against its float baseline on the same device."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from edgebuild.gates._remedies import ON_A_DEVICE, faster
from edgebuild.gates._timed import (
    Amount,
    Limit,
    Ruling,
    judge_pairs,
    mend_timed,
    missing,
    read_limit,
    rule_change,
    rule_median,
    rule_pairs,
    ruled,
    tell,
    undecidable,
)
from edgebuild.gates.statistics import percentile
from edgebuild.spec.evidence import Evidence, Predicted, Processes, Status, Timed, Verdict, known
from edgebuild.spec.metric import Metric, Percentile, Tried
from edgebuild.spec.target import Gate, Timing
from edgebuild.spec.units import SECONDS, show_seconds

_TIME = Amount("time", "s", show_seconds)
_EXAMPLE = "+3 %, predicted +35 %"


class Latency(Metric[Limit]):
    """The limit is a change ("+3 %", or "-50 %": at most half the float model's time) or a time ("40 ms").

    Both are of the median; "p95 40 ms" and "p95 +10 %" are of a percentile. "+3 %, predicted +35 %" lets a prediction
    pass that is itself within the first limit and whose error band ends before the second.
    """

    regression: ClassVar[str | None] = "+3 %"
    measured: ClassVar[Literal["outputs", "latency"] | None] = "latency"
    counted: ClassVar[str | None] = "instructions"

    @classmethod
    def limit(cls, text: str) -> Limit:
        """The limit in seconds or as a change; ValueError where it has no unit or no sense."""
        measured, comma, predicted = text.partition(", predicted ")
        limit = read_limit(measured, SECONDS, "a time")
        if not comma:
            return limit
        far = read_limit(predicted, SECONDS, "a time").change
        if limit.percentile or limit.change is None or far is None or far < limit.change:
            raise ValueError(f'a prediction\'s limit is a change that is no smaller, as in "{_EXAMPLE}", got {text!r}')
        return limit._replace(predicted=far)

    @classmethod
    def implies(cls, strong: Limit, weak: Limit) -> bool:
        """Whether keeping one limit keeps the other."""
        return strong.implies(weak)

    @classmethod
    def unchanged(cls, text: str) -> bool | None:
        """Whether the baseline itself is inside the limit; None for a limit that is on no change."""
        return cls.limit(text).unchanged

    @classmethod
    def percentile(cls, text: str) -> Percentile | None:
        """The percentile that the limit is on, if it is on one."""
        limit = cls.limit(text)
        return Percentile(limit.percentile, limit.value) if limit.percentile else None

    @classmethod
    def asks(cls, text: str) -> str:
        """The evidence that decides: processes of one model each for the change of a percentile."""
        limit = cls.limit(text)
        return "processes" if limit.percentile and limit.change is not None else "latency"

    @classmethod
    def unmeasurable(cls, gate: Gate, timing: Timing) -> str | None:
        """Why `timing` can never decide the gate, or None."""
        return undecidable(gate, cls.limit(gate.limit), timing)

    def settled(self, gate: Gate, evidence: Evidence) -> bool:
        """Whether more processes of the measurement that is under way could change nothing for this gate."""
        if self.asks(gate.limit) == "processes":
            return self._tail(gate, known(evidence.processes)).status != "continue"
        return not isinstance(evidence.latency, Timed) or self._rule(gate, evidence.latency).status != "continue"

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """By the kind of evidence: timed, predicted from counted work, or a mere estimate."""
        if self.asks(gate.limit) == "processes":
            return judge_pairs(gate, evidence, self._tail)
        latency = known(evidence.latency)
        if isinstance(latency, Timed):
            return self._rule(gate, latency).verdict(gate, latency.fidelity, latency.void)
        if self.limit(gate.limit).percentile:
            reason = f"only a device's own run has percentiles, and this is {latency.fidelity}"
            return missing(gate, reason, latency.fidelity)
        if isinstance(latency, Predicted):
            return self._predicted(gate, latency).verdict(gate, latency.fidelity)
        change = latency.candidate_seconds[0] / latency.baseline_seconds[0] - 1
        reason = f"a {latency.device} estimate proves nothing; the gate asks for {gate.fidelity}"
        return Verdict("latency", gate.limit, "change", "inconclusive", reason, latency.fidelity, 0, change)

    @classmethod
    def drawn(cls, text: str, unit: str, baseline: float) -> float | None:
        """The most seconds of a median."""
        limit = cls.limit(text)
        if unit != _TIME.unit or limit.percentile:
            return None
        return limit.value if limit.change is None else baseline * (1 + limit.change)

    def excess(self, gate: Gate, verdict: Verdict, evidence: Evidence) -> float:
        """By which share of the limit the time is beyond it; of a prediction also the far end of its band."""
        limit, estimate = self.limit(gate.limit), verdict.estimate
        if estimate is None:
            return super().excess(gate, verdict, evidence)
        far = verdict.high if isinstance(evidence.latency, Predicted) and verdict.high is not None else estimate
        if limit.change is not None:
            return max((1 + estimate) / (1 + limit.change), (1 + far) / (1 + max(limit.change, limit.far))) - 1
        return max(estimate, far) / (limit.value or math.inf) - 1

    def mend(self, gate: Gate, verdict: Verdict, evidence: Evidence, tried: Tried) -> str:
        """What takes more time away; where a prediction leaves it open, a device."""
        if verdict.status == "inconclusive" and isinstance(evidence.latency, Predicted):
            return f"{ON_A_DEVICE}, where a prediction cannot tell; or {faster(tried)}"
        return mend_timed(verdict, tried)

    def _rule(self, gate: Gate, timed: Timed) -> Ruling:
        """By interleaved ratios, medians of processes, or counts of slow inferences."""
        limit = self.limit(gate.limit)
        if limit.change is not None:
            return rule_change(timed.log_ratios, limit.change, timed.looks, gate, _TIME.name)
        if limit.percentile is not None:
            return self._slow(gate, timed)
        return rule_median(timed.candidate_seconds, limit.value or 0.0, timed.looks, gate, _TIME)

    def _tail(self, gate: Gate, processes: Processes) -> Ruling:
        """By the processes' own percentiles, candidate against baseline."""
        limit = self.limit(gate.limit)
        samples = processes.percentiles[percentile.name(limit.percentile or 0.5)]
        return rule_pairs(gate, limit, samples, processes.looks, _TIME)

    def _slow(self, gate: Gate, timed: Timed) -> Ruling:
        """By the inferences that took longer than the limit, and by how much processes differ."""
        limit = self.limit(gate.limit)
        slow = next((each for each in timed.slow if (each.percentile, each.limit) == limit[::2]), None)
        if slow is None:
            return Ruling("inconclusive", "inferences over this limit were not counted", "s", 0)
        confidence = max(gate.confidence, percentile.CONFIDENCE)
        counts = percentile.SlowCounts(slow.percentile, slow.limit, slow.each, slow.over, slow.seconds)
        verdict = percentile.judge_percentile(counts, timed.looks, confidence)
        n, share = verdict.n * counts.each, verdict.share
        high = f"at most {show_seconds(verdict.high)}" if math.isfinite(verdict.high) else "not bounded"
        reason = f"{show_seconds(verdict.estimate)}, {high} over {verdict.n} processes"
        if share is not None:
            reason += f"; {share.estimate:.2%} of {n} inferences took longer, at most {share.high:.2%}"
        needed = percentile.samples_needed(counts.percentile, confidence)
        if n < needed or verdict.n < percentile.LEAST_PROCESSES:
            reason += f"; {needed} inferences in {percentile.LEAST_PROCESSES} processes are needed"
        return ruled(verdict, reason, "s", confidence)

    def _predicted(self, gate: Gate, predicted: Predicted) -> Ruling:
        """The whole of the stated error band must be inside the limit to pass, and outside to fail.

        Where the limit is a change that says how far the band may reach, the prediction itself must be inside the limit
        and the band within that reach. As with measured times, a change fails where it is beyond the limit and the
        model is proved to be slower (below 0 %, not fast enough).
        """
        ours, theirs = predicted.candidate_seconds[0], predicted.baseline_seconds[0]
        limit, band = self.limit(gate.limit), predicted.band
        if limit.change is None:
            most, unit, value, low, high = limit.value or 0.0, "s", ours, *band.limits(ours)
            far = beyond = most
            reason = f"predicted {show_seconds(ours)} ± {band.error:.0%} from counted work ({band.basis})"
        else:
            (least, largest), most, unit = predicted.ratio_limits, limit.change, "change"
            value, low, high = (ours / theirs * each - 1 for each in (1, least, largest))
            far, beyond = limit.far, min(most, 0.0)
            doubt = "" if band.figures else f" ({band.basis})"  # of the runtime on the core, so of the ratio as well
            reason = f"{tell(value, 'time')} by counted work{doubt}, ratio {_band(least, largest)}"
            reason += f": at most {tell(high, 'time')}" if limit.predicted is not None else ""
        passes, fails = value <= most and high < far, value > most and low > beyond
        status: Status = "pass" if passes else "fail" if fails else "inconclusive"
        return Ruling(status, reason, unit, 1, value, low, high)


def _band(least: float, largest: float) -> str:
    """The factors of an error band as relative errors."""
    down, up = (f"{each:.0%}" for each in (1 - least, largest - 1))
    return f"± {up}" if down == up else f"−{down} +{up}"
