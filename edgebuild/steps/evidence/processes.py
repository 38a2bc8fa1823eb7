"""What a process has only once: its start, its memory and the tail of its times, candidate against baseline."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from edgebuild.devices.jobs.device import Device
from edgebuild.devices.jobs.outputs import write_inputs
from edgebuild.devices.timing.pairs import PairTimings, measure_pairs
from edgebuild.gates.statistics.percentile import name
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Fidelity, Gate, Runtime, Timing
from edgebuild.steps.evidence.latency import roles, settled, timed_models

_BRIEF = 10  # inferences of a process of which no percentile is asked


@dataclass(frozen=True, slots=True)
class Processes:
    """Inputs: `candidate/<format>` and `baseline/<format>` for each runtime, and the data to run them on.

    Each model runs in processes of its own, on one example, so that its inputs are no part of its memory.  The
    measurement ends at the first look where every one of `gates` is settled for every format.
    """

    device: Device
    fidelity: Fidelity
    runtimes: tuple[Runtime, ...]
    timing: Timing
    gates: tuple[Gate, ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("data",)
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")
    deterministic: ClassVar[Determinism] = "no"
    exclusive: ClassVar[bool] = True

    @property
    def elsewhere(self) -> bool:
        """Whether the time is another machine's."""
        return self.device.elsewhere

    def run(self, io: StepIO) -> None:
        """Write `evidence.json` (what the gates ask for, one value a process) and `samples.json` (every raw value)."""
        test = dataset.read(io.path("data"), "test")
        write_inputs(io.scratch / "inputs.npz", tuple(values[:1] for values in test.inputs))
        models = timed_models(io, self.runtimes)
        pairs = list(zip(models[::2], models[1::2], strict=True))

        def decide(timings: PairTimings) -> bool:
            done = len(timings.blocks.done)
            io.progress(done / self.timing.looks[-1], f"{done} pairs of processes")
            return settled(self.gates, "processes", self._summary(timings))

        jobs, inputs = io.scratch / "jobs", io.scratch / "inputs.npz"
        timings = measure_pairs(self.device, pairs, inputs, jobs, decide, self._timing())
        found = {"fidelity": self.fidelity, "device": self.device.transport, **self._summary(timings)}
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        samples = [[asdict(process) for process in block] for block in timings.blocks.done]
        (io.output / "samples.json").write_text(json.dumps(samples, sort_keys=True) + "\n")

    def _percentiles(self) -> list[float]:
        asked = (GATES.get(gate.metric).limit(gate.limit).percentile for gate in self.gates)
        return sorted({share for share in asked if share})

    def _timing(self) -> Timing:
        """A start and a peak of memory need no warm-up and few inferences."""
        brief = replace(self.timing, iterations=_BRIEF, warmup_iterations=1, warmup=0.0)
        return self.timing if self._percentiles() else brief

    def _summary(self, timings: PairTimings) -> dict[str, Any]:
        formats = {runtime.format: self._of_one(timings, runtime) for runtime in self.runtimes}
        looks = list(self.timing.looks)
        return {"formats": formats, "looks": looks, "pairs": len(timings.blocks.done), "void": timings.void}

    def _of_one(self, timings: PairTimings, runtime: Runtime) -> dict[str, Any]:
        models = roles(runtime)
        found: dict[str, Any] = {
            "cold_start": {role: timings.cold_starts(model) for role, model in models.items()},
            "memory": {role: timings.memory(model) for role, model in models.items()},
        }
        for share in self._percentiles():
            values = {role: timings.percentiles(model, share) for role, model in models.items()}
            found[name(share)] = values
        return found
