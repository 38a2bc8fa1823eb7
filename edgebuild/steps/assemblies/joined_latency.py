"""How long an assembly takes against its baseline: all parts of all formats interleaved in one process on a device."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import ClassVar

from edgebuild.devices.jobs.job import JobModel, write_inputs
from edgebuild.devices.timing.latency import Timings, measure
from edgebuild.devices.timing.process import UnitProcess
from edgebuild.gates.statistics import ratio
from edgebuild.spec import dataset, documents, evidence, model_file
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.device import Device
from edgebuild.spec.evidence import PartRuns, PartsRuns
from edgebuild.spec.registry import FORMATS, GATES
from edgebuild.spec.target import Fidelity, Gate, Runtime, Timing
from edgebuild.steps.assemblies._parts import RUNS, TIMES
from edgebuild.steps.evidence.latency import settled

_EXAMPLES = 64


@dataclass(frozen=True, slots=True)
class JoinedLatency(Step):
    """Inputs: `part/<format>/<part>`, `baseline/<format>` and `runs/<format>` for each runtime, and the data; where a
    part is fed other than the whole is, `fed/<format>/<part>`, a data set of that.

    In each round every part runs once. The whole's time is their sum, each as often as it runs (by the upper end of
    its interval); for percentiles as many of the rounds as that take every part's time, so that one above the share of
    examples that need all parts sees the slow way.
    """

    device: Device
    fidelity: Fidelity
    runtimes: tuple[Runtime, ...]
    parts: tuple[str, ...]
    timing: Timing
    gates: tuple[Gate, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("data",)
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "no"
    exclusive: ClassVar[bool] = True

    @property
    def elsewhere(self) -> bool:
        """Whether the time is another machine's."""
        return self.device.elsewhere

    def run(self, io: StepIO) -> None:
        """Write `evidence.json` (estimates, per-process medians) and `samples.json` (every raw value)."""
        test = dataset.read(io.path("data"), "test")
        inputs = io.scratch / "inputs.npz"
        write_inputs(inputs, tuple(values[:_EXAMPLES] for values in test.inputs))
        runs = {one.format: self._runs(io, one) for one in self.runtimes}

        def enough(timings: Timings) -> bool:
            done = len(timings.processes)
            io.progress(done / self.timing.looks[-1], f"{done} processes")
            latencies = self._summary(timings, runs).formats.values()
            return settled(self.gates, (evidence.Evidence(latency=each) for each in latencies))

        timings = measure(self.device, self._models(io), inputs, io.scratch / "jobs", enough, self.timing)
        documents.write(io.output / evidence.FILE, self._summary(timings, runs))
        samples = [asdict(process) for process in timings.processes]
        (io.output / "samples.json").write_text(json.dumps(samples, sort_keys=True) + "\n")
        documents.write(io.output / TIMES, self._parts(timings))

    def _models(self, io: StepIO) -> list[JobModel]:
        models = []
        for runtime in self.runtimes:
            roles = {_part(runtime, part): f"part/{runtime.format}/{part}" for part in self.parts}
            roles |= {_baseline(runtime): f"baseline/{runtime.format}"}
            for name, role in roles.items():
                file = io.path(role) / FORMATS.get(runtime.format).file
                layouts, fed = model_file.layouts(file), self._fed(io, name, f"fed/{role.removeprefix('part/')}")
                models.append(JobModel(name, file, runtime.threads, runtime.providers, layouts, fed))
        return models

    def _fed(self, io: StepIO, name: str, role: str) -> Path | None:
        """The file of what a part is fed, where that is not what the whole is."""
        if role not in io.inputs:
            return None
        place = io.scratch / f"{name}.npz"
        write_inputs(place, tuple(values[:_EXAMPLES] for values in dataset.read(io.path(role), "test").inputs))
        return place

    def _runs(self, io: StepIO, runtime: Runtime) -> list[PartRuns]:
        every = documents.read(PartsRuns, io.path(f"runs/{runtime.format}") / RUNS).parts
        return [every[part] for part in self.parts]

    def _summary(self, timings: Timings, runs: dict[str, list[PartRuns]]) -> evidence.Latencies:
        whole = {one.format: self._whole(timings, one, runs[one.format]) for one in self.runtimes}
        first = whole[self.runtimes[0].format]
        return evidence.Latencies({one.format: self._of_one(whole[one.format], first, one) for one in self.runtimes})

    def _whole(self, timings: Timings, runtime: Runtime, runs: list[PartRuns]) -> Timings:
        """Processes in which the assembly has times of its own: `mean` of a round, and `path`, one inference's."""
        shares = [each.share.high for each in runs]
        return replace(timings, processes=tuple(self._joined(one, runtime, shares) for one in timings.processes))

    def _joined(self, process: UnitProcess, runtime: Runtime, shares: list[float]) -> UnitProcess:
        rounds = list(zip(*(process.values[_part(runtime, part)] for part in self.parts), strict=True))
        mean, path = joined(rounds, shares)
        return replace(process, values={"mean": mean, "path": path, "baseline": process.values[_baseline(runtime)]})

    def _of_one(self, timings: Timings, first: Timings, runtime: Runtime) -> evidence.Timed:
        both = zip(first.medians("mean"), timings.medians("mean"), strict=True)
        return evidence.Timed(
            fidelity=self.fidelity,
            device=self.device.transport,
            candidate_seconds=tuple(value * 1e-9 for value in timings.medians("mean")),
            baseline_seconds=tuple(value * 1e-9 for value in timings.medians("baseline")),
            speed=math.exp(ratio.hodges_lehmann([math.log(ours / theirs) for theirs, ours in both]).estimate),
            looks=self.timing.looks,
            processes=len(timings.processes),
            log_ratios=tuple(timings.log_ratios("mean", "baseline")),
            slow=tuple(_slow(timings, share, limit) for share, limit in self._percentiles()),
            void=timings.void,
        )

    def _percentiles(self) -> list[tuple[float, float]]:
        asked = (GATES.get(gate.metric).percentile(gate.limit) for gate in self.gates)
        return sorted({(each.share, each.seconds) for each in asked if each and each.seconds})

    def _parts(self, timings: Timings) -> evidence.PartTimes:
        """Seconds of each part's file, by format and part."""
        seconds = {
            one.format: {part: median(timings.medians(_part(one, part))) * 1e-9 for part in self.parts}
            for one in self.runtimes
        }
        return evidence.PartTimes(self.fidelity, seconds)


def joined(rounds: Sequence[Sequence[int]], shares: Sequence[float]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Nanoseconds of the whole in each round, from those of its parts, which run in these shares of all examples.

    The mean of a round, and one inference: a part's share of the rounds has its time in it.
    """
    mean = tuple(round(sum(value * share for value, share in zip(each, shares, strict=True))) for each in rounds)
    path = tuple(
        sum(value for value, share in zip(each, shares, strict=True) if _runs_in(place, share))
        for place, each in enumerate(rounds)
    )
    return mean, path


def _slow(timings: Timings, share: float, limit: float) -> evidence.Slow:
    counts = timings.slow("path", share, limit)
    return evidence.Slow(counts.percentile, counts.limit, counts.each, tuple(counts.over), tuple(counts.seconds))


def _runs_in(place: int, share: float) -> bool:
    """Whether a part that runs in this share of all rounds runs in this one: as evenly as may be, in the first too."""
    return math.ceil((place + 1) * share - 1e-9) > math.ceil(place * share - 1e-9)


def _part(runtime: Runtime, part: str) -> str:
    return f"part-{part}-{runtime.format}"


def _baseline(runtime: Runtime) -> str:
    return f"baseline-{runtime.format}"
