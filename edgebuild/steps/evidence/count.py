"""The work of one inference on an emulated core: instructions by class, cache misses, cycles by llvm-mca."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.devices.jobs.device import CountingDevice
from edgebuild.devices.jobs.outputs import write_inputs
from edgebuild.spec import dataset, layout
from edgebuild.spec.artifact import EXCUSED, Determinism, StepIO
from edgebuild.spec.registry import FORMATS

_REPEATS = 3  # whatever disturbs a count can only add to it, so the least of three is taken


@dataclass(frozen=True, slots=True)
class Count:
    """Counted on one thread, whatever the runtime will use: counters of several threads would not be exact."""

    device: CountingDevice
    mcpu: str
    timeout: float = field(default=1800.0, metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ("onnx", "tflite")
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "no"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        self._job(io)
        found = self.device.count(io.scratch, self.mcpu, timeout=self.timeout)
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

    def _job(self, io: StepIO) -> None:
        """One inference that is counted several times, after two that warm up."""
        file = io.path("model") / FORMATS.get(io.kind("model")).file
        shutil.copyfile(file, io.scratch / file.name)
        test = dataset.read(io.path("data"), "test")
        write_inputs(io.scratch / "inputs.npz", tuple(values[:1] for values in test.inputs))
        models = [{"name": "model", "file": file.name, "threads": 1, "layouts": layout.of_file(file)}]
        job = {"mode": "count", "models": models, "inputs": "inputs.npz", "count_warmups": 2, "count_repeats": _REPEATS}
        (io.scratch / "job.json").write_text(json.dumps(job))
