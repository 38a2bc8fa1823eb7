"""The latency gate on this machine: a file against itself, and against a copy with 10 % more work.

Each trial is a whole measurement as a build makes it, with fewer iterations a process: three models interleaved in
one process (the file, the same file again, the copy with 22 layers for 20), over 10 to 40 processes, judged by the
product's own gate at +3 %.  The copy must never pass and the same file must never fail.
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks._matmuls import inputs, matmuls
from benchmarks._tables import Table
from edgebuild.devices.jobs.job import JobModel
from edgebuild.devices.local import Local
from edgebuild.devices.timing.latency import Timings, measure
from edgebuild.gates.latency import Latency
from edgebuild.spec.evidence import Evidence, Timed
from edgebuild.spec.target import Gate, Timing
from edgebuild.travels import runner_device

TRIALS, LAYERS, SLOWER = 30, 20, 22
GATE = Gate("latency", "+3 %")
_TIMING = Timing(iterations=60, warmup_iterations=20, warmup=0.1)
_CASES = {"the same file": ("same", "fail"), "10 % more work": ("slow", "pass")}
_COLUMNS = {
    "case": ("candidate", ""),
    "pass": ("pass", "d"),
    "fail": ("fail", "d"),
    "inconclusive": ("inconclusive", "d"),
    "processes": ("processes, median", ".0f"),
    "low": ("estimate, least", "+.2%"),
    "middle": ("median", "+.2%"),
    "high": ("largest", "+.2%"),
    "holds": ("never wrong", ""),
}


def run(*, small: bool) -> list[Table]:
    """Thirty measurements, each judged twice; `small`: one."""
    trials = 1 if small else TRIALS
    verdicts: dict[str, list[Any]] = {case: [] for case in _CASES}
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, slow = matmuls(folder / "base.onnx", LAYERS), matmuls(folder / "slow.onnx", SLOWER)
        models = [JobModel("base", base), JobModel("same", base), JobModel("slow", slow)]
        for trial in range(trials):
            timing = replace(_TIMING, seed=1000 * trial)
            timings = measure(Local(), models, inputs(folder), folder / f"trial-{trial}", _settled, timing)
            loads.append(os.getloadavg()[0])
            for case, (candidate, _) in _CASES.items():
                verdicts[case].append(Latency().judge(GATE, _evidence(timings, candidate)))
    rows = [_row(case, wrong, verdicts[case]) for case, (_, wrong) in _CASES.items()]
    return [Table(f"{trials} verdicts on a limit of +3 %", _COLUMNS, rows, _notes(loads, rows[-1], trials))]


def _settled(timings: Timings) -> bool:
    return all(Latency().settled(GATE, _evidence(timings, candidate)) for candidate, _ in _CASES.values())


def _evidence(timings: Timings, candidate: str) -> Evidence:
    """What a build's measurement would say of this candidate."""
    ours, theirs = (tuple(value * 1e-9 for value in timings.medians(name)) for name in (candidate, "base"))
    ratios = tuple(timings.log_ratios(candidate, "base"))
    timed = Timed("hardware", "local", ours, theirs, 1.0, _TIMING.looks, len(ratios), ratios, void=timings.void)
    return Evidence(latency=timed)


def _row(case: str, wrong: str, verdicts: list[Any]) -> dict[str, Any]:
    counts = Counter(verdict.status for verdict in verdicts)
    estimates = [verdict.estimate for verdict in verdicts]
    shown = {status: counts.get(status, 0) for status in ("pass", "fail", "inconclusive")}
    ends = {"low": min(estimates), "middle": statistics.median(estimates), "high": max(estimates)}
    middle = statistics.median(verdict.n for verdict in verdicts)
    return {"case": case, **shown, "processes": middle, **ends, "holds": counts.get(wrong, 0) == 0}


def _notes(loads: list[float], slow: dict[str, Any], trials: int) -> list[str]:
    facts = runner_device.fingerprint()
    most = 1 - math.exp(math.log(0.05) / trials)
    return [
        f"{facts['cpu']}, {facts['cores']} cores; load average {min(loads):.1f} to {max(loads):.1f}, median "
        f"{statistics.median(loads):.1f}: other processes ran beside it.",
        f"{_TIMING.iterations} rounds a process after at least {_TIMING.warmup_iterations} rounds and "
        f"{_TIMING.warmup:g} s of warm-up, looks at {', '.join(map(str, _TIMING.looks))} processes.",
        f"{SLOWER} layers for {LAYERS} took {slow['middle']:.1%} more time: a call has a cost of its own beside its "
        "layers.",
        f"None in {trials} bounds the rate at {most:.0%} with 95 % confidence; `gates` has sharper figures.",
    ]
