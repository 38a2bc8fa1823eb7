"""How long the candidates take against their baselines, all interleaved in one process on a device."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from edgebuild.devices.jobs.device import Device
from edgebuild.devices.jobs.outputs import write_inputs
from edgebuild.devices.timing.latency import Timings, measure
from edgebuild.devices.timing.process import TimedModel
from edgebuild.gates.statistics import ratio
from edgebuild.spec import dataset, layout
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.registry import FORMATS, GATES
from edgebuild.spec.target import Fidelity, Gate, Runtime, Timing

_EXAMPLES = 64


@dataclass(frozen=True, slots=True)
class Latency:
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
        test = dataset.read(io.path("data"), "test")
        write_inputs(io.scratch / "inputs.npz", tuple(values[:_EXAMPLES] for values in test.inputs))
        timings = measure(
            self.device,
            timed_models(io, self.runtimes),
            io.scratch / "inputs.npz",
            io.scratch / "jobs",
            self._decide(io),
            self.timing,
        )
        found = {"fidelity": self.fidelity, "device": self.device.transport, **self._summary(timings)}
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        samples = [asdict(process) for process in timings.processes]
        (io.output / "samples.json").write_text(json.dumps(samples, sort_keys=True) + "\n")

    def _decide(self, io: StepIO) -> Any:
        def enough(timings: Timings) -> bool:
            done = len(timings.processes)
            io.progress(done / self.timing.looks[-1], f"{done} processes")
            return settled(self.gates, "latency", self._summary(timings))

        return enough

    def _summary(self, timings: Timings) -> dict[str, Any]:
        """Seconds and ratios; `speed` compares each format's candidate with the first format's, to rank them."""
        first = roles(self.runtimes[0])["candidate"]
        formats = {}
        for runtime in self.runtimes:
            ours, theirs = roles(runtime).values()
            formats[runtime.format] = {
                "log_ratios": timings.log_ratios(ours, theirs),
                "candidate_seconds": [value * 1e-9 for value in timings.medians(ours)],
                "baseline_seconds": [value * 1e-9 for value in timings.medians(theirs)],
                "slow": [asdict(timings.slow(ours, share, limit)) for share, limit in self._percentiles()],
                "speed": math.exp(ratio.hodges_lehmann(timings.log_ratios(ours, first)).estimate),
            }
        return {
            "formats": formats,
            "looks": list(self.timing.looks),
            "processes": len(timings.processes),
            "void": timings.void,
        }

    def _percentiles(self) -> list[tuple[float, float]]:
        """The percentiles with a limit in time, for which slow inferences are counted."""
        limits = [GATES.get(gate.metric).limit(gate.limit) for gate in self.gates]
        return sorted({(each.percentile, each.value) for each in limits if each.percentile and each.value})


def timed_models(io: StepIO, runtimes: tuple[Runtime, ...]) -> list[TimedModel]:
    """Candidate and baseline of each runtime in turn."""
    models = []
    for runtime in runtimes:
        for role, name in roles(runtime).items():
            file = io.path(f"{role}/{runtime.format}") / FORMATS.get(runtime.format).file
            models.append(TimedModel(name, file, runtime.threads, runtime.providers, layout.of_file(file)))
    return models


def roles(runtime: Runtime) -> dict[str, str]:
    """What a measurement calls the candidate and the baseline of a runtime."""
    return {role: f"{role}-{runtime.format}" for role in ("candidate", "baseline")}


def settled(gates: tuple[Gate, ...], kind: str, found: dict[str, Any]) -> bool:
    """Whether every gate is settled for every format by what evidence of this kind holds so far."""
    shared = {key: value for key, value in found.items() if key != "formats"}
    return all(
        GATES.get(gate.metric)().settled(gate, {kind: shared | each})
        for gate in gates
        for each in found["formats"].values()
    )
