"""How long the candidates take against their baselines, all interleaved in one process on a device."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

from edgebuild.gates.statistics import ratio
from edgebuild.spec import dataset, documents, evidence, model_file
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.device import Device
from edgebuild.spec.registry import FORMATS, GATES
from edgebuild.spec.target import Fidelity, Gate, Runtime, Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgebuild.devices.jobs.job import JobModel
    from edgebuild.devices.timing.latency import Timings

_EXAMPLES = 64


@dataclass(frozen=True, slots=True)
class Latency(Step):
    """Inputs: `candidate/<format>` and `baseline/<format>` for each runtime, and the data to run them on.

    The measurement ends at the first look where every one of `gates` is settled for every format, without a gate at
    the first look.
    """

    device: Device
    fidelity: Fidelity
    runtimes: tuple[Runtime, ...]
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
        from edgebuild.devices.jobs.job import write_inputs
        from edgebuild.devices.timing.latency import measure

        test = dataset.read(io.path("data"), "test")
        write_inputs(io.scratch / "inputs.npz", tuple(values[:_EXAMPLES] for values in test.inputs))
        timings = measure(
            self.device,
            timed_models(io, self.runtimes),
            io.scratch / "inputs.npz",
            io.scratch / "jobs",
            self._decide(io),
            self.timing.whole() if self._of_percentiles() else self.timing,
        )
        documents.write(io.output / evidence.FILE, self._summary(timings))
        samples = [asdict(process) for process in timings.processes]
        (io.output / "samples.json").write_text(json.dumps(samples, sort_keys=True) + "\n")

    def _decide(self, io: StepIO) -> Callable[[Timings], bool]:
        def enough(timings: Timings) -> bool:
            done = len(timings.processes)
            io.progress(done / self.timing.looks[-1], f"{done} processes")
            latencies = self._summary(timings).formats.values()
            return settled(self.gates, (evidence.Evidence(latency=each) for each in latencies))

        return enough

    def _summary(self, timings: Timings) -> evidence.Latencies:
        return evidence.Latencies({runtime.format: self._of_one(timings, runtime) for runtime in self.runtimes})

    def _of_one(self, timings: Timings, runtime: Runtime) -> evidence.Timed:
        """Seconds and ratios; `speed` compares each format's candidate with the first format's, to rank them."""
        first = roles(self.runtimes[0])["candidate"]
        ours, theirs = roles(runtime).values()
        return evidence.Timed(
            fidelity=self.fidelity,
            device=self.device.transport,
            candidate_seconds=_seconds(timings, ours),
            baseline_seconds=_seconds(timings, theirs),
            speed=math.exp(ratio.hodges_lehmann(timings.log_ratios(ours, first)).estimate),
            looks=self.timing.looks,
            processes=len(timings.processes),
            log_ratios=tuple(timings.log_ratios(ours, theirs)),
            slow=tuple(_slow(timings, ours, share, limit) for share, limit in self._percentiles()),
            void=timings.void,
        )

    def _of_percentiles(self) -> bool:
        """Whether any gate is on a percentile, which takes more rounds than a median."""
        return any(GATES.get(gate.metric).percentile(gate.limit) for gate in self.gates)

    def _percentiles(self) -> list[tuple[float, float]]:
        """The percentiles with a limit in time, for which slow inferences are counted."""
        asked = (GATES.get(gate.metric).percentile(gate.limit) for gate in self.gates)
        return sorted({(each.share, each.seconds) for each in asked if each and each.seconds})


def _seconds(timings: Timings, model: str) -> tuple[float, ...]:
    return tuple(value * 1e-9 for value in timings.medians(model))


def _slow(timings: Timings, model: str, share: float, limit: float) -> evidence.Slow:
    counts = timings.slow(model, share, limit)
    return evidence.Slow(counts.percentile, counts.limit, counts.each, tuple(counts.over), tuple(counts.seconds))


def timed_models(io: StepIO, runtimes: tuple[Runtime, ...]) -> list[JobModel]:
    """Candidate and baseline of each runtime in turn."""
    from edgebuild.devices.jobs.job import JobModel

    models = []
    for runtime in runtimes:
        for role, name in roles(runtime).items():
            file = io.path(f"{role}/{runtime.format}") / FORMATS.get(runtime.format).file
            models.append(JobModel(name, file, runtime.threads, runtime.providers, model_file.layouts(file)))
    return models


def roles(runtime: Runtime) -> dict[str, str]:
    """What a measurement calls the candidate and the baseline of a runtime."""
    return {role: f"{role}-{runtime.format}" for role in ("candidate", "baseline")}


def settled(gates: tuple[Gate, ...], formats: Iterable[evidence.Evidence]) -> bool:
    """Whether every gate is settled by the evidence that there is so far on each format."""
    return all(GATES.get(gate.metric)().settled(gate, each) for each in formats for gate in gates)
