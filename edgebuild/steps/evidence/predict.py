"""Seconds from counted work, with the band that the target's profile states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.core import TimeModel
from edgebuild.spec.target import Runtime


@dataclass(frozen=True, slots=True)
class Predict(Step):
    """Inputs: `candidate/<format>` and `baseline/<format>`, the counted work of each file, and `shared/<format>`, how
    much of it both do.
    """

    model: TimeModel
    clock: float
    runtimes: tuple[Runtime, ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`, in the shape that `Latency` gives it too."""
        first = self._seconds(_counted(io, "candidate", self.runtimes[0]), self.runtimes[0])
        formats = {runtime.format: self._of_one(io, runtime, first) for runtime in self.runtimes}
        documents.write(io.output / evidence.FILE, evidence.Latencies(formats))

    def _of_one(self, io: StepIO, runtime: Runtime, first: float) -> evidence.Predicted:
        from edgebuild.devices.timing import predicted

        counted = evidence.BothCounted(_counted(io, "candidate", runtime), _counted(io, "baseline", runtime))
        ours, theirs = (self._seconds(each, runtime) for each in (counted.candidate, counted.baseline))
        shared = documents.read(evidence.SharedWork, io.path(f"shared/{runtime.format}") / evidence.FILE)
        return evidence.Predicted(
            fidelity="emulated",
            device="qemu",
            candidate_seconds=(ours,),
            baseline_seconds=(theirs,),
            speed=ours / first,
            sources=self.model.sources,
            band=self.model.band(runtime.format, runtime.threads),
            ratio_band=self.model.ratio_band,
            ratio_limits=predicted.ratio_limits(self.model.ratio_band, ours, theirs, shared),
            shared=shared,
            threads=runtime.threads,
            counted=counted,
        )

    def _seconds(self, counted: evidence.Counted, runtime: Runtime) -> float:
        from edgebuild.devices.timing import predicted

        return predicted.seconds(counted, self.model, self.clock, runtime.threads)


def _counted(io: StepIO, role: str, runtime: Runtime) -> evidence.Counted:
    return documents.read(evidence.Counted, io.path(f"{role}/{runtime.format}") / evidence.FILE)
