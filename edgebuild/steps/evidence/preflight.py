"""Whether the target's runtime takes the model at all, found out before an hour of training is spent on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.spec import dataset, documents, evidence, model_file
from edgebuild.spec.artifact import EXCUSED, FILE, Step, StepIO
from edgebuild.spec.device import Device
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.registry import FORMATS


@dataclass(frozen=True, slots=True)
class Preflight(Step):
    """Runs an untrained, converted model on one example: operators, types and shapes are those of the real one."""

    device: Device
    threads: int = 1
    timeout: float = field(default=600.0, metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = (FILE,)
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Write what the runtime said of itself; DeviceError that names the format when it refuses the model."""
        from edgebuild.devices.jobs import outputs
        from edgebuild.devices.jobs.job import JobModel

        kind = io.kind("model")
        file = io.path("model") / FORMATS.get(kind).file
        model = JobModel("model", file, self.threads, layouts=model_file.layouts(file))
        first = tuple(values[:1] for values in dataset.read(io.path("data"), "test").inputs)
        try:
            result = outputs.run(self.device, model, first, io.scratch, self.timeout)
        except DeviceError as error:
            message = f"before training: the model does not run as {kind} on {self.device.transport}: {error.reason}"
            raise DeviceError(message, hint=error.hint) from None
        documents.write(io.output / evidence.FILE, evidence.Runs(self.device.transport, result.runtimes))
