"""What a model file answers on an emulated device where states come back: the first steps of its streams, in order."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.spec import dataset, documents, drawing, evidence, model_file
from edgebuild.spec.artifact import EXCUSED, FILE, Determinism, Step, StepIO
from edgebuild.spec.device import Device
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.rows import Chosen
from edgebuild.spec.signature import Loop
from edgebuild.spec.target import Fidelity
from edgebuild.steps.evidence._outputs import ROWS


@dataclass(frozen=True, slots=True)
class StreamOutputs(Step):
    """`outputs.npz` and `origin.json` as `Outputs` writes them, with the states that the file itself has left, and
    `rows.npy`: the examples that ran, no more than `most` and no longer than the device's budget allows.
    """

    device: Device
    fidelity: Fidelity
    loops: tuple[Loop, ...]
    threads: int = 1
    providers: tuple[str, ...] = ()
    most: int | None = None
    timeout: float = field(default=3600.0, metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = (FILE,)
    produces: ClassVar[str | None] = "outputs"
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "no"  # how much a budget allows is the machine's

    @property
    def shared(self) -> Determinism:
        """What a device that counts says, it says on any machine: the key has all that emulates it."""
        return "everywhere" if self.device.counts else "no"

    def run(self, io: StepIO) -> None:
        """Go through the streams as far as the device gets."""
        import numpy as np

        from edgebuild.devices.jobs import outputs
        from edgebuild.devices.jobs.job import JobModel

        file = io.path("model") / FORMATS.get(io.kind("model")).file
        model = JobModel("model", file, self.threads, self.providers, model_file.layouts(file))
        test, streams = dataset.read(io.path("data"), "test"), dataset.streams(io.path("data"), "test")
        rows = drawing.beginnings(streams, len(test), min(self.most or len(test), len(test)))
        some = tuple(Chosen(values, rows) for values in test.inputs)
        own, seconds = None if streams is None else streams[rows], self.device.budget
        ran = outputs.run_looped(self.device, model, some, io.scratch, self.timeout, self.loops, own, seconds)
        shutil.copyfile(io.scratch / "model.outputs.npz", io.output / "outputs.npz")
        np.save(io.output / ROWS, rows[: ran.models["model"].examples])
        documents.write(
            io.output / evidence.ORIGIN, evidence.Origin(self.fidelity, self.device.transport, ran.runtimes)
        )
