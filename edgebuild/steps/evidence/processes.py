"""What a process has only once: its start, its memory and the tail of its times, candidate against baseline."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from edgebuild.gates.statistics.percentile import name
from edgebuild.spec import dataset, documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.device import Device
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Fidelity, Gate, Runtime, Timing
from edgebuild.steps.evidence.latency import roles, settled, timed_models

if TYPE_CHECKING:
    from edgebuild.devices.timing.pairs import PairTimings

_BRIEF = 10  # inferences of a process of which no percentile is asked


@dataclass(frozen=True, slots=True)
class Processes(Step):
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
        from edgebuild.devices.jobs.job import write_inputs
        from edgebuild.devices.timing.pairs import measure_pairs

        test = dataset.read(io.path("data"), "test")
        write_inputs(io.scratch / "inputs.npz", tuple(values[:1] for values in test.inputs))
        models = timed_models(io, self.runtimes)
        pairs = list(zip(models[::2], models[1::2], strict=True))

        def decide(timings: PairTimings) -> bool:
            done = len(timings.blocks.done)
            io.progress(done / self.timing.looks[-1], f"{done} pairs of processes")
            every = self._summary(timings).formats.values()
            return settled(self.gates, (evidence.Evidence(processes=each) for each in every))

        jobs, inputs = io.scratch / "jobs", io.scratch / "inputs.npz"
        timings = measure_pairs(self.device, pairs, inputs, jobs, decide, self._timing())
        documents.write(io.output / evidence.FILE, self._summary(timings))
        samples = [[asdict(process) for process in block] for block in timings.blocks.done]
        (io.output / "samples.json").write_text(json.dumps(samples, sort_keys=True) + "\n")

    def _percentiles(self) -> list[float]:
        percentiles = (GATES.get(gate.metric).percentile(gate.limit) for gate in self.gates)
        return sorted({each.share for each in percentiles if each})

    def _timing(self) -> Timing:
        """A start and a peak of memory need no warm-up and few inferences."""
        brief = replace(self.timing, iterations=_BRIEF, warmup_iterations=1, warmup=0.0)
        return self.timing.whole() if self._percentiles() else brief

    def _summary(self, timings: PairTimings) -> evidence.AllProcesses:
        return evidence.AllProcesses({runtime.format: self._of_one(timings, runtime) for runtime in self.runtimes})

    def _of_one(self, timings: PairTimings, runtime: Runtime) -> evidence.Processes:
        shares = self._percentiles()
        return evidence.Processes(
            fidelity=self.fidelity,
            device=self.device.transport,
            looks=self.timing.looks,
            pairs=len(timings.blocks.done),
            cold_start=_samples(runtime, timings.cold_starts),
            memory=_samples(runtime, timings.memory),
            percentiles={name(share): _samples(runtime, partial(_tail, timings, share)) for share in shares},
            void=timings.void,
        )


def _samples(runtime: Runtime, of_model: Callable[[str], list[float]]) -> evidence.Samples:
    ours, theirs = roles(runtime).values()
    return evidence.Samples(tuple(of_model(ours)), tuple(of_model(theirs)))


def _tail(timings: PairTimings, share: float, model: str) -> list[float]:
    return timings.percentiles(model, share)
