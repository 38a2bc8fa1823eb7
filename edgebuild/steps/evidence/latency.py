"""How long the candidates take against their baselines, all interleaved in one process on a device."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, ClassVar

from edgebuild.gates.statistics import ratio
from edgebuild.spec import dataset, documents, evidence, model_file
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.device import Device
from edgebuild.spec.registry import FORMATS, GATES
from edgebuild.spec.target import Fidelity, Gate, Runtime, Timing
from edgebuild.steps.evidence import _deployed
from edgebuild.steps.evidence._deployed import RUNS, TIMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from edgebuild.devices.jobs.job import JobModel
    from edgebuild.devices.timing.latency import Timings

_EXAMPLES = 64


@dataclass(frozen=True, slots=True)
class Latency(Step):
    """Inputs: `candidate/<format>` and `baseline/<format>` for each runtime, and the data to run them on.

    In the place of either may be `…/<part>` for each part of an assembly, with `runs/…`, its outputs: in each round
    every part runs once. The whole's time is their sum, each as often as it runs (by the upper end of its interval);
    for percentiles as many of the rounds as that take every part's time, so that one above the share of examples that
    need all parts sees the slow way. `fed/…/<part>` is the data of a part that takes other inputs than the whole.

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
        """Write `evidence.json` (estimates, per-process medians) and `samples.json` (every raw value); of an assembly's
        parts also `parts.json`.
        """
        from edgebuild.devices.jobs.job import write_inputs
        from edgebuild.devices.timing.latency import measure
        from edgebuild.devices.timing.rounds import together

        test = dataset.read(io.path("data"), "test")
        write_inputs(io.scratch / "inputs.npz", tuple(values[:_EXAMPLES] for values in test.inputs))
        wholes = self._wholes(io)
        timings = measure(
            self.device,
            timed_models(io, self.runtimes),
            io.scratch / "inputs.npz",
            io.scratch / "jobs",
            self._decide(io, wholes),
            self.timing.whole() if self._of_percentiles() else self.timing,
        )
        documents.write(io.output / evidence.FILE, self._summary(together(timings, wholes)))
        samples = [asdict(process) for process in timings.processes]
        (io.output / "samples.json").write_text(json.dumps(samples, sort_keys=True) + "\n")
        if parts := self._parts(io, timings):
            documents.write(io.output / TIMES, evidence.PartTimes(self.fidelity, parts))

    def _decide(self, io: StepIO, wholes: Mapping[str, Mapping[str, float]]) -> Callable[[Timings], bool]:
        from edgebuild.devices.timing.rounds import together

        def enough(timings: Timings) -> bool:
            done = len(timings.processes)
            io.progress(done / self.timing.looks[-1], f"{done} processes")
            latencies = self._summary(together(timings, wholes)).formats.values()
            return settled(self.gates, (evidence.Evidence(latency=each) for each in latencies))

        return enough

    def _wholes(self, io: StepIO) -> dict[str, dict[str, float]]:
        """How often each part of every assembly runs, by the names that a measurement has for both."""
        wholes = {}
        for runtime in self.runtimes:
            for role, name in roles(runtime).items():
                if (place := f"runs/{role}/{runtime.format}") in io.inputs:
                    runs = documents.read(evidence.PartsRuns, io.path(place) / RUNS).parts
                    wholes[name] = {_model(role, part, runtime): each.share.high for part, each in runs.items()}
        return wholes

    def _parts(self, io: StepIO, timings: Timings) -> dict[str, dict[str, float]]:
        """Seconds of each file of the candidates that are assemblies, by format and part."""
        return {
            runtime.format: {
                part: median(timings.medians(_model("candidate", part, runtime))) * 1e-9
                for part in io.roles(f"candidate/{runtime.format}")
            }
            for runtime in self.runtimes
            if f"runs/candidate/{runtime.format}" in io.inputs
        }

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
        percentiles = (GATES.get(gate.metric).percentile(gate.limit) for gate in self.gates)
        return sorted({(each.share, each.seconds) for each in percentiles if each and each.seconds})


def _seconds(timings: Timings, model: str) -> tuple[float, ...]:
    return tuple(value * 1e-9 for value in timings.medians(model))


def _slow(timings: Timings, model: str, share: float, limit: float) -> evidence.Slow:
    from edgebuild.devices.timing.rounds import PATH

    path = model + PATH if model + PATH in timings.processes[0].values else model
    counts = timings.slow(path, share, limit)
    return evidence.Slow(counts.percentile, counts.limit, counts.each, tuple(counts.over), tuple(counts.seconds))


def timed_models(io: StepIO, runtimes: tuple[Runtime, ...]) -> list[JobModel]:
    """Candidate and baseline of each runtime in turn, each the one file that it is or every part of it."""
    from edgebuild.devices.jobs.job import JobModel

    models = []
    for runtime in runtimes:
        for role in roles(runtime):
            for part, item in _deployed.files(io, f"{role}/{runtime.format}").items():
                file, name = item.path / FORMATS.get(runtime.format).file, _model(role, part, runtime)
                fed, layouts = _fed(io, f"fed/{role}/{runtime.format}/{part}", name), model_file.layouts(file)
                models.append(JobModel(name, file, runtime.threads, runtime.providers, layouts, fed))
    return models


def _fed(io: StepIO, role: str, name: str) -> Path | None:
    """The file of what a part is fed, where that is not what the whole is."""
    if role not in io.inputs:
        return None
    from edgebuild.devices.jobs.job import write_inputs

    place = io.scratch / f"{name}.npz"
    write_inputs(place, tuple(values[:_EXAMPLES] for values in dataset.read(io.path(role), "test").inputs))
    return place


def roles(runtime: Runtime) -> dict[str, str]:
    """What a measurement calls the candidate and the baseline of a runtime."""
    return {role: _model(role, "", runtime) for role in ("candidate", "baseline")}


def _model(role: str, part: str, runtime: Runtime) -> str:
    """What a measurement calls a file: a part of a role, or without a name all of it."""
    return "-".join(filter(None, (role, part, runtime.format)))


def settled(gates: tuple[Gate, ...], formats: Iterable[evidence.Evidence]) -> bool:
    """Whether every gate is settled by the evidence that there is so far on each format."""
    return all(GATES.get(gate.metric)().settled(gate, each) for each in formats for gate in gates)
