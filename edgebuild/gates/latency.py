"""Latency: the candidate's time, against a limit or against its float baseline on the same device."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from edgebuild.gates._remedies import ON_A_DEVICE, Tried, faster
from edgebuild.gates._timed import (
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
from edgebuild.spec.evidence import Status, Verdict
from edgebuild.spec.target import Gate, Timing
from edgebuild.spec.units import SECONDS, show_seconds

_EXAMPLE = "+3 %, predicted +35 %"


class Latency:
    """The limit is a change ("+3 %", or "-50 %": at most half the float model's time) or a time ("40 ms").

    Both are of the median; "p95 40 ms" and "p95 +10 %" are of a percentile. "+3 %, predicted +35 %" lets a prediction
    pass that is itself within the first limit and whose error band ends before the second.
    """

    regression: ClassVar[str] = "+3 %"
    measured: ClassVar[str] = "latency"
    counted: ClassVar[str] = "instructions"  # what is held between two releases instead, where work is counted exactly

    @staticmethod
    def limit(text: str) -> Limit:
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
    def unchanged(cls, text: str) -> bool | None:
        """Whether the baseline itself is inside the limit; None for a limit that is on no change."""
        return cls.limit(text).unchanged

    @classmethod
    def asks(cls, text: str) -> str:
        """The evidence that decides: processes of one model each for the change of a percentile."""
        limit = cls.limit(text)
        return "processes" if limit.percentile and limit.change is not None else "latency"

    @classmethod
    def unmeasurable(cls, gate: Gate, timing: Timing) -> str | None:
        """Why `timing` can never decide the gate, or None."""
        return undecidable(gate, cls.limit(gate.limit), timing)

    def settled(self, gate: Gate, evidence: dict[str, Any]) -> bool:
        """Whether more processes of the measurement that is under way could change nothing for this gate."""
        return self._rule(gate, evidence).status != "continue"

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """By the kind of evidence: timed, predicted from counted work, or a mere estimate."""
        found = evidence["latency"]
        if self.asks(gate.limit) == "processes":
            return judge_pairs(gate, evidence, self._tail)
        if "log_ratios" in found:
            return self._rule(gate, evidence).verdict(gate, found)
        if self.limit(gate.limit).percentile:
            reason = f"only a device's own run has percentiles, and this is {found['fidelity']}"
            return missing(gate, reason, found["fidelity"])
        if "band" in found:
            return self._predicted(gate, found).verdict(gate, found)
        change = found["candidate_seconds"][0] / found["baseline_seconds"][0] - 1
        reason = f"a {found['device']} estimate proves nothing; the gate asks for {gate.fidelity}"
        return Verdict("latency", gate.limit, "change", "inconclusive", reason, found["fidelity"], 0, change)

    def mend(self, gate: Gate, verdict: Verdict, evidence: dict[str, Any], tried: Tried) -> str:
        """What takes more time away; where a prediction leaves it open, a device."""
        if verdict.status == "inconclusive" and "band" in evidence["latency"]:
            return f"{ON_A_DEVICE}, where a prediction cannot tell; or {faster(tried)}"
        return mend_timed(verdict, tried)

    def _rule(self, gate: Gate, evidence: dict[str, Any]) -> Ruling:
        """Interleaved ratios, medians of processes, counts of slow inferences, or pairs of processes."""
        limit = self.limit(gate.limit)
        if self.asks(gate.limit) == "processes":
            return self._tail(gate, evidence["processes"])
        found = evidence["latency"]
        if limit.change is not None:
            return rule_change(found["log_ratios"], limit.change, found, gate, "time")
        if limit.percentile is not None:
            return self._slow(gate, found)
        return rule_median(found["candidate_seconds"], limit.value or 0.0, found, gate, "s", show_seconds)

    def _tail(self, gate: Gate, found: dict[str, Any]) -> Ruling:
        """By the processes' own percentiles, candidate against baseline."""
        limit = self.limit(gate.limit)
        return rule_pairs(gate, limit, found, percentile.name(limit.percentile or 0.5), "time", "s", show_seconds)

    def _slow(self, gate: Gate, found: dict[str, Any]) -> Ruling:
        """By the inferences that took longer than the limit, and by how much processes differ."""
        limit = self.limit(gate.limit)
        counted = [each for each in found.get("slow", ()) if (each["percentile"], each["limit"]) == limit[::2]]
        if not counted:
            return Ruling("inconclusive", "inferences over this limit were not counted", "s", 0)
        confidence = max(gate.confidence, percentile.CONFIDENCE)
        counts = percentile.SlowCounts(**counted[0])
        verdict = percentile.judge_percentile(counts, found["looks"], confidence)
        n, share = verdict.n * counts.each, verdict.share
        high = f"at most {show_seconds(verdict.high)}" if math.isfinite(verdict.high) else "not bounded"
        reason = f"{show_seconds(verdict.estimate)}, {high} over {verdict.n} processes"
        if share is not None:
            reason += f"; {share.estimate:.2%} of {n} inferences took longer, at most {share.high:.2%}"
        needed = percentile.samples_needed(counts.percentile, confidence)
        if n < needed or verdict.n < percentile.LEAST_PROCESSES:
            reason += f"; {needed} inferences in {percentile.LEAST_PROCESSES} processes are needed"
        return ruled(verdict, reason, "s", confidence)

    def _predicted(self, gate: Gate, found: dict[str, Any]) -> Ruling:
        """The whole of the stated error band must be inside the limit to pass, and outside to fail.

        Where the limit is a change that says how far the band may reach, the prediction itself must be inside the limit
        and the band within that reach. As with measured times, a change fails where it is beyond the limit and the
        model is proved to be slower (below 0 %, not fast enough).
        """
        ours, theirs = found["candidate_seconds"][0], found["baseline_seconds"][0]
        limit, band = self.limit(gate.limit), found["band"]
        if limit.change is None:
            most, unit, value, low, high = limit.value or 0.0, "s", ours, ours * (1 - band), ours * (1 + band)
            far = beyond = most
            reason = f"predicted {show_seconds(ours)} ± {band:.0%} from counted work"
        else:
            (least, largest), most, unit = found["ratio_limits"], limit.change, "change"
            value, low, high = (ours / theirs * each - 1 for each in (1, least, largest))
            far, beyond = limit.far, min(most, 0.0)
            reason = f"{tell(value, 'time')} by counted work, ratio {_band(least, largest)}"
            reason += f": at most {tell(high, 'time')}" if limit.predicted is not None else ""
        passes, fails = value <= most and high < far, value > most and low > beyond
        status: Status = "pass" if passes else "fail" if fails else "inconclusive"
        return Ruling(status, reason, unit, 1, value, low, high)


def _band(least: float, largest: float) -> str:
    """The factors of an error band as relative errors."""
    down, up = (f"{each:.0%}" for each in (1 - least, largest - 1))
    return f"± {up}" if down == up else f"−{down} +{up}"
