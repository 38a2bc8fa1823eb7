"""Latency: the candidate's time, against a limit or against its float baseline on the same device."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from edgebuild.measure import ratio
from edgebuild.spec.evidence import Status, Verdict
from edgebuild.spec.target import Gate, reaches
from edgebuild.spec.units import SECONDS, SHARE, parse, show_seconds


class Latency:
    """The limit is a change ("+3 %", or "-50 %": at most half the float model's time) or a time ("40 ms")."""

    @staticmethod
    def limit(text: str) -> float:
        """The relative change, above −1, or the seconds, above zero; ValueError otherwise."""
        if "%" in text:
            value = parse(text, SHARE)
            if value <= -1:
                raise ValueError(f"time cannot fall by 100 % or more, got {text!r}")
            return value
        value = parse(text, SECONDS)
        if value <= 0:
            raise ValueError(f"a time must be above zero, got {text!r}")
        return value

    @classmethod
    def change(cls, text: str) -> float | None:
        """The relative change that a limit names, None for a time."""
        return cls.limit(text) if "%" in text else None

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """By the kind of evidence: timed, predicted from counted work, or a mere estimate."""
        found = evidence["latency"]
        if "log_ratios" in found:
            return self._timed(gate, found)
        if "band" in found:
            return self._predicted(gate, found)
        change = found["candidate_seconds"][0] / found["baseline_seconds"][0] - 1
        reason = f"a {found['device']} estimate proves nothing; the gate asks for {gate.fidelity}"
        return Verdict("latency", gate.limit, "change", "inconclusive", reason, found["fidelity"], 0, change)

    def _timed(self, gate: Gate, found: dict[str, Any]) -> Verdict:
        """The sequential rule of `ratio.judge_ratio` on interleaved ratios."""
        delta = self.change(gate.limit)
        if delta is None:
            reason = "a limit in time needs the percentiles of a device's own run, which this build does not measure"
            return Verdict("latency", gate.limit, "s", "inconclusive", reason, found["fidelity"], 0)
        verdict = ratio.judge_ratio(found["log_ratios"], delta, found["looks"], alpha=1 - gate.confidence)
        change = [math.expm1(value) if math.isfinite(value) else None for value in _range(verdict)]
        status: Status = "inconclusive" if verdict.status == "continue" else verdict.status
        reason = f"{_told(math.expm1(verdict.estimate))} over {verdict.n} processes"
        fidelity, n = found["fidelity"], verdict.n
        return _weighed(Verdict("latency", gate.limit, "change", status, reason, fidelity, n, *change), gate)

    def _predicted(self, gate: Gate, found: dict[str, Any]) -> Verdict:
        """The whole of the stated error band must be inside the limit to pass, and outside to fail."""
        ours, theirs = found["candidate_seconds"][0], found["baseline_seconds"][0]
        delta, band = self.change(gate.limit), found["band"]
        if delta is None:
            limit, unit, value, low, high = self.limit(gate.limit), "s", ours, ours * (1 - band), ours * (1 + band)
            reason = f"predicted {show_seconds(ours)} ± {band:.0%} from counted work"
        else:
            band, limit, unit = found["ratio_band"], delta, "change"
            value, low, high = (ours / theirs * each - 1 for each in (1, 1 - band, 1 + band))
            reason = f"{_told(value)} by counted work, ratio ± {band:.0%}"
        status: Status = "pass" if high < limit else "fail" if low > limit else "inconclusive"
        ends = (value, low, high)
        return _weighed(Verdict("latency", gate.limit, unit, status, reason, found["fidelity"], 1, *ends), gate)


def _weighed(verdict: Verdict, gate: Gate) -> Verdict:
    """Evidence of too low a fidelity proves nothing either way: another core may be faster or slower."""
    if reaches(verdict.fidelity, gate.fidelity):
        return verdict
    reason = f"{verdict.reason}, but only {verdict.fidelity}; the gate asks for {gate.fidelity}"
    return replace(verdict, status="inconclusive", reason=reason)


def _range(verdict: ratio.RatioVerdict) -> tuple[float, float, float]:
    return verdict.estimate, verdict.low, verdict.high


def _told(change: float) -> str:
    return f"{-change:.1%} less time" if change < 0 else f"{change:.1%} more time"
