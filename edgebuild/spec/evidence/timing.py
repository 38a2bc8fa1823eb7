"""How long two files take: timed on a device, predicted from counted work, or a mere estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebuild.spec.core import Band
from edgebuild.spec.evidence.work import BothCounted, SharedWork
from edgebuild.spec.target import Fidelity


@dataclass(frozen=True, slots=True)
class Seconds:
    """What all kinds of latency have: seconds of both files, one a process or the one that was computed.

    `speed` is the candidate's time relative to that of the first format's, by which formats are ranked.
    """

    fidelity: Fidelity
    device: str
    candidate_seconds: tuple[float, ...]
    baseline_seconds: tuple[float, ...]
    speed: float


@dataclass(frozen=True, slots=True)
class Slow:
    """What a limit on a percentile is judged by, one entry a process of `each` inferences.

    `over` counts those that took longer than `limit` seconds, `seconds` is the process's own percentile.
    """

    percentile: float
    limit: float
    each: int
    over: tuple[int, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Timed(Seconds):
    """Medians of processes in which both files ran interleaved, and the logarithms of their ratios.

    `looks` are the numbers of processes at which the measurement might end; `void` says why it proves nothing.
    """

    looks: tuple[int, ...]
    processes: int
    log_ratios: tuple[float, ...]
    slow: tuple[Slow, ...] = ()
    void: str | None = None


@dataclass(frozen=True, slots=True)
class Predicted(Seconds):
    """Seconds from `counted` work, with the relative error of one (`band`) and of the ratio of two (`ratio_band`).

    `ratio_limits` are the factors between which the true ratio lies around the predicted one, narrowed by what both
    files share; `sources` say where the constants of the model come from.
    """

    sources: tuple[str, ...]
    band: Band
    ratio_band: float
    ratio_limits: tuple[float, float]
    shared: SharedWork
    threads: int
    counted: BothCounted


@dataclass(frozen=True, slots=True)
class Estimated(Seconds):
    """Lower bounds from peak rates, whose `source` is named: they rank, and pass no gate."""

    source: str


Latency = Timed | Predicted | Estimated


@dataclass(frozen=True, slots=True)
class Latencies:
    """The latency of all formats: they are measured together."""

    formats: Mapping[str, Timed | Predicted | Estimated]


@dataclass(frozen=True, slots=True)
class Samples:
    """One value a process of each file, in the order of the pairs."""

    candidate: tuple[float, ...]
    baseline: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Processes:
    """What a process has only once: seconds of its start, bytes of memory, and percentiles of its times by name.

    One pair of processes after the other, each of one file alone; `looks` and `void` as in `Timed`.
    """

    fidelity: Fidelity
    device: str
    looks: tuple[int, ...]
    pairs: int
    cold_start: Samples
    memory: Samples
    percentiles: Mapping[str, Samples]
    void: str | None = None


@dataclass(frozen=True, slots=True)
class AllProcesses:
    """The processes of all formats."""

    formats: Mapping[str, Processes]


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Seconds of the files that a recipe made on its way, and log-ratios of each to the one before, one a process."""

    fidelity: Fidelity
    device: str
    seconds: tuple[float, ...]
    log_ratios: tuple[tuple[float, ...], ...]
    void: str | None = None
