"""Latency: the candidate's time against its float baseline, interleaved on the same device."""

from __future__ import annotations

import math
from typing import Any

from edgebuild.measure import ratio
from edgebuild.spec.evidence import Status, Verdict
from edgebuild.spec.target import Gate, reaches
from edgebuild.spec.units import SHARE, parse


class Latency:
    """The limit is a change: "+3 %" allows a little more time, "-50 %" asks for at most half."""

    @staticmethod
    def limit(text: str) -> float:
        """The relative change, above −1; ValueError otherwise."""
        change = parse(text, SHARE)
        if change <= -1:
            raise ValueError(f"time cannot fall by 100 % or more, got {text!r}")
        return change

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """The sequential rule of `ratio.judge_ratio`; evidence of too low a fidelity is always inconclusive."""
        found = evidence["latency"]
        if "log_ratios" not in found:
            return self._estimated(gate, found)
        delta = self.limit(gate.limit)
        verdict = ratio.judge_ratio(found["log_ratios"], delta, found["looks"], alpha=1 - gate.confidence)
        change = [
            math.expm1(value) if math.isfinite(value) else None
            for value in (verdict.estimate, verdict.low, verdict.high)
        ]
        status: Status = "inconclusive" if verdict.status == "continue" else verdict.status
        reason = f"{_told(math.expm1(verdict.estimate))} over {verdict.n} processes"
        if not reaches(found["fidelity"], gate.fidelity):
            status, reason = (
                "inconclusive",
                f"{reason}, but only {found['fidelity']}; the gate asks for {gate.fidelity}",
            )
        return Verdict("latency", gate.limit, "change", status, reason, found["fidelity"], verdict.n, *change)

    def _estimated(self, gate: Gate, found: dict[str, Any]) -> Verdict:
        change = found["candidate_seconds"][0] / found["baseline_seconds"][0] - 1
        reason = f"a {found['device']} estimate proves nothing; the gate asks for {gate.fidelity}"
        return Verdict("latency", gate.limit, "change", "inconclusive", reason, found["fidelity"], 0, change)


def _told(change: float) -> str:
    return f"{-change:.1%} less time" if change < 0 else f"{change:.1%} more time"
