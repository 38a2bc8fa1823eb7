"""How long the files that a recipe made on its way take, all interleaved in one process on a device that times."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import ClassVar

from edgebuild.devices.jobs.device import Device
from edgebuild.devices.jobs.outputs import write_inputs
from edgebuild.devices.timing.latency import Timings, measure
from edgebuild.devices.timing.process import TimedModel
from edgebuild.spec import dataset, layout
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Fidelity, Runtime, Timing

_EXAMPLES = 64


@dataclass(frozen=True, slots=True)
class StageTimes:
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
        test = dataset.read(io.path("data"), "test")
        inputs = io.scratch / "inputs.npz"
        write_inputs(inputs, tuple(values[:_EXAMPLES] for values in test.inputs))
        files = io.roles("file")
        names = [f"stage-{number}" for number in range(len(files))]
        paths = [files[str(number)].path / FORMATS.get(self.runtime.format).file for number in range(len(files))]
        how = self.runtime.threads, self.runtime.providers
        models = [TimedModel(name, path, *how, layout.of_file(path)) for name, path in zip(names, paths, strict=True)]

        def tell(timings: Timings) -> bool:
            done, last = len(timings.processes), self.timing.looks[-1]
            io.progress(done / last, f"{done} processes")
            return done >= last

        timings = measure(self.device, models, inputs, io.scratch / "jobs", tell, self.timing)
        ratios = [timings.log_ratios(after, before) for before, after in pairwise(names)]
        seconds = [[value * 1e-9 for value in timings.medians(name)] for name in names]
        found = {
            "fidelity": self.fidelity,
            "device": self.device.transport,
            "seconds": [sorted(values)[len(values) // 2] if values else math.nan for values in seconds],
            "log_ratios": ratios,
            "void": timings.void,
        }
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        samples = [asdict(process) for process in timings.processes]
        (io.output / "samples.json").write_text(json.dumps(samples, sort_keys=True) + "\n")
