"""How long the files that a recipe made on its way take, all interleaved in one process on a device that times."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import dataset, documents, evidence, model_file
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.device import Device
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Fidelity, Runtime, Timing

if TYPE_CHECKING:
    from edgebuild.devices.timing.latency import Timings

_EXAMPLES = 64


@dataclass(frozen=True, slots=True)
class StageTimes(Step):
    """Inputs: `file/<k>`, the distinct files in the order in which they were made, and the data to run them on.

    A short measurement: it says which technique paid, and passes no gate.
    """

    device: Device
    fidelity: Fidelity
    runtime: Runtime
    timing: Timing

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("data",)
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "no"
    exclusive: ClassVar[bool] = True

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`: seconds of each file, log-ratios of each to the one before, one a process."""
        from edgebuild.devices.jobs.job import JobModel, write_inputs
        from edgebuild.devices.timing.latency import measure

        test = dataset.read(io.path("data"), "test")
        inputs = io.scratch / "inputs.npz"
        write_inputs(inputs, tuple(values[:_EXAMPLES] for values in test.inputs))
        files = io.roles("file")
        names = [f"stage-{number}" for number in range(len(files))]
        paths = [files[str(number)].path / FORMATS.get(self.runtime.format).file for number in range(len(files))]
        how = self.runtime.threads, self.runtime.providers
        models = [JobModel(name, path, *how, model_file.layouts(path)) for name, path in zip(names, paths, strict=True)]

        def tell(timings: Timings) -> bool:
            done, last = len(timings.processes), self.timing.looks[-1]
            io.progress(done / last, f"{done} processes")
            return done >= last

        timings = measure(self.device, models, inputs, io.scratch / "jobs", tell, self.timing)
        ratios = tuple(tuple(timings.log_ratios(after, before)) for before, after in pairwise(names))
        seconds = [[value * 1e-9 for value in timings.medians(name)] for name in names]
        middles = tuple(sorted(values)[len(values) // 2] if values else math.nan for values in seconds)
        times = evidence.StageTimes(self.fidelity, self.device.transport, middles, ratios, timings.void)
        documents.write(io.output / evidence.FILE, times)
        samples = [asdict(process) for process in timings.processes]
        (io.output / "samples.json").write_text(json.dumps(samples, sort_keys=True) + "\n")
