"""What a model file answers on held-out examples, executed by the target's runtime on a device."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.spec import dataset, documents, drawing, evidence, model_file
from edgebuild.spec.artifact import EXCUSED, FILE, Step, StepIO
from edgebuild.spec.device import Device
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.rows import Chosen
from edgebuild.spec.signature import Loop
from edgebuild.spec.target import Fidelity


@dataclass(frozen=True, slots=True)
class Outputs(Step):
    """`outputs.npz` holds the outputs by position, `origin.json` the runtime's version and the fidelity.

    `most`: run no more examples than so many. `split`: whose examples; a choice is made
    by what is answered on those for validation. `loops`: all go through their streams in order, with the states that
    the file itself has left.
    """

    device: Device
    fidelity: Fidelity
    threads: int = 1
    providers: tuple[str, ...] = ()
    most: int | None = None
    split: dataset.Held = "test"
    loops: tuple[Loop, ...] = ()
    timeout: float = field(default=1800.0, metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = (FILE,)
    produces: ClassVar[str | None] = "outputs"
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Run the held-out examples, or as many of them as are asked for."""
        from edgebuild.devices.jobs import outputs
        from edgebuild.devices.jobs.job import JobModel

        file = io.path("model") / FORMATS.get(io.kind("model")).file
        model = JobModel("model", file, self.threads, self.providers, model_file.layouts(file))
        test = dataset.read(io.path("data"), self.split)
        most = len(test) if self.most is None else min(self.most, len(test))
        some = tuple(Chosen(values, drawing.chosen(len(test), most)) for values in test.inputs)
        if self.loops:
            streams = dataset.streams(io.path("data"), self.split)
            result = outputs.run_looped(self.device, model, some, io.scratch, self.timeout, self.loops, streams)
        else:
            result = outputs.run_all(self.device, model, some, io.scratch, self.timeout)
        shutil.copyfile(io.scratch / "model.outputs.npz", io.output / "outputs.npz")
        origin = evidence.Origin(self.fidelity, self.device.transport, result.runtimes, result.models["model"].fallback)
        documents.write(io.output / evidence.ORIGIN, origin)
