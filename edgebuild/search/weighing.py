"""What a recipe comes to by the evidence that there is of it: a point, and the gates that it misses.

A gate on what is counted holds as it would in a release: the evidence is the same. One on answers is judged by fewer
examples than a release is, so it stops a recipe where its estimate is beyond the limit, proved or not.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgebuild.search.trial import Loss, Miss, Point
from edgebuild.spec.evidence import Evidence, Predicted, Seconds, Timed, Verdict, hits_key, known, of_output
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Gate

_HITS = "hits.npz"
_LEAST = 1e-6  # of a gate that fails, whatever its estimate says


@dataclass(frozen=True, slots=True)
class Weighed:
    """What is known of a recipe's file in one format: all evidence, and the folder with its right answers."""

    format: str
    evidence: Evidence
    right: Path | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A gate's verdict, and by which share of the limit the estimate is beyond it: at most 0 where nothing stops it."""

    gate: Gate
    verdict: Verdict
    excess: float


def is_counted(gate: Gate) -> bool:
    """Whether a gate is about the file alone, and not about what it answers."""
    kind = GATES.get(gate.metric)
    return kind.tasks is None and not kind.by_output and not kind.imported and is_seen(gate)


def is_seen(gate: Gate) -> bool:
    """Whether a search looks at it: what takes a process of its own for each value it leaves to the build."""
    return GATES.get(gate.metric).asks(gate.limit) != "processes"


def is_known(gate: Gate, evidence: Evidence) -> bool:
    """Whether there is the evidence of work, time or memory that it is about; any other there always is."""
    kind = GATES.get(gate.metric)
    if kind.measured == "latency":
        return evidence.latency is not None
    return kind.asks(gate.limit) != "arena" or evidence.arena is not None


def is_answers(gate: Gate) -> bool:
    """Whether a gate is about how good answers are."""
    return GATES.get(gate.metric).tasks is not None


def judge(gates: Sequence[Gate], evidence: Evidence) -> list[Judged]:
    """The verdict of each."""
    return [_judged(gate, of_output(evidence, gate.output)) for gate in gates]


def _judged(gate: Gate, evidence: Evidence) -> Judged:
    kind = GATES.get(gate.metric)()
    verdict = replace(kind.judge(gate, evidence), output=gate.output or "")
    if verdict.status == "pass":
        return Judged(gate, verdict, 0.0)
    excess = kind.excess(gate, verdict, evidence)
    return Judged(gate, verdict, max(excess, _LEAST) if verdict.status == "fail" else excess)


def misses(judged: Sequence[Judged]) -> tuple[Miss, ...]:
    """Those that stop a recipe, the worst first."""
    stopping = sorted((each for each in judged if each.excess > 0), key=lambda each: -each.excess)
    return tuple(Miss(each.verdict.name, each.gate.limit, each.excess, each.verdict.reason) for each in stopping)


def point(weighed: Weighed) -> Point:
    """What is counted of a file; nothing of its answers."""
    footprint = known(weighed.evidence.footprint)
    latency: Seconds = known(weighed.evidence.latency)
    seconds = statistics.median(latency.candidate_seconds)
    low, high, apart = _interval(latency, seconds)
    ours, theirs = footprint.candidate, footprint.baseline
    return Point(
        format=weighed.format,
        seconds=seconds,
        seconds_low=low,
        seconds_high=high,
        apart=apart,
        bytes=ours.download,
        size=ours.bytes,
        time_share=seconds / statistics.median(latency.baseline_seconds),
        bytes_share=ours.download / theirs.download,
    )


def _interval(latency: Seconds, seconds: float) -> tuple[float, float, float]:
    if isinstance(latency, Predicted):
        return *latency.band.limits(seconds), latency.ratio_band
    if isinstance(latency, Timed):
        low, high = min(latency.candidate_seconds), max(latency.candidate_seconds)
        return low, high, (high - low) / seconds
    return seconds, seconds, 0.0


def loss(gates: Sequence[Gate], weighed: Weighed) -> Loss | None:
    """What the answers lost by the gate that is nearest to its limit; None where no gate is about answers."""
    judged = judge([gate for gate in gates if is_answers(gate)], weighed.evidence)
    shares = [(_share(each, weighed.evidence), each) for each in judged if each.verdict.estimate is not None]
    if not shares:
        return None
    share, worst = max(shares, key=lambda pair: pair[0])
    own = worst.verdict
    assert own.estimate is not None
    low, high = (own.estimate if end is None else end for end in (own.low, own.high))
    return Loss(own.name, own.unit, own.n, share, own.estimate, low, high, _wrong(weighed, worst.gate))


def _share(judged: Judged, evidence: Evidence) -> float:
    """The estimate as a share of the limit."""
    kind = GATES.get(judged.gate.metric)()
    return 1 + kind.excess(judged.gate, judged.verdict, of_output(evidence, judged.gate.output))


def _wrong(weighed: Weighed, gate: Gate) -> tuple[int, ...] | None:
    """The examples that the file answers wrongly, by their numbers; None where there is no right and wrong."""
    accuracy = weighed.evidence.accuracy
    if weighed.right is None or accuracy is None:
        return None
    import numpy as np

    heads = [*accuracy.heads]
    head = gate.output if gate.output in heads else heads[0]
    with np.load(weighed.right / _HITS) as stored:
        right = stored[hits_key("candidate", head, len(heads))]
    return tuple(int(number) for number in np.flatnonzero(~right))
