"""The work of one inference on an emulated core: instructions by class, cache misses, cycles by llvm-mca."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.spec import dataset, documents, evidence, model_file
from edgebuild.spec.artifact import EXCUSED, FILE, Determinism, Step, StepIO
from edgebuild.spec.device import Device
from edgebuild.spec.registry import FORMATS

_REPEATS = 3  # whatever disturbs a count can only add to it, so the least of three is taken


@dataclass(frozen=True, slots=True)
class Count(Step):
    """Counted on one thread, whatever the runtime will use: counters of several threads would not be exact."""

    device: Device
    mcpu: str
    timeout: float = field(default=1800.0, metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = (FILE,)
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "no"

    @property
    def shared(self) -> Determinism:
        """What a device that counts says, it says on any machine: the key has all that emulates it."""
        return "everywhere" if self.device.counts else "no"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        from edgebuild.devices.timing.operators import with_operators

        self._job(io)
        counted = self.device.count(io.scratch, self.mcpu, timeout=self.timeout)
        kind = FORMATS.get(io.kind("model"))
        content = (io.path("model") / kind.file).read_bytes()
        documents.write(io.output / evidence.FILE, with_operators(counted, kind, content))

    def _job(self, io: StepIO) -> None:
        """One inference that is counted several times, after two that warm up."""
        from edgebuild.devices.jobs import job

        file = io.path("model") / FORMATS.get(io.kind("model")).file
        test, inputs = dataset.read(io.path("data"), "test"), io.scratch / job.INPUTS
        job.write_inputs(inputs, tuple(values[:1] for values in test.inputs))
        model = job.JobModel("model", file, layouts=model_file.layouts(file))
        job.write(io.scratch, "count", [model], inputs, count_warmups=2, count_repeats=_REPEATS)
