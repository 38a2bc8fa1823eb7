"""The time of each operator of a model on a device, where the runtime tells it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from edgebuild.devices.jobs import outcome
from edgebuild.devices.jobs.device import Device
from edgebuild.spec.errors import DeviceError

Layers = tuple[dict[str, Any], ...]


def measure(
    device: Device, model: Path, inputs: Path, job: Path, threads: int, timeout: float
) -> tuple[Layers | None, str | None]:
    """The operators, the slowest first, or None and the reason.

    Each has its `position` in the order of execution, `name`, `op` (type), shape of its first `output`, `median_us`
    (microseconds an inference) and `share` of what all take. `job` is a folder to be made.

    A runtime's profile slows what it watches: this is a process of its own, whose times say where the time goes and
    are no latency. A device that fails here has measured all else before, so that is a reason too.
    """
    job.mkdir()
    file = f"model{model.suffix}"
    shutil.copyfile(model, job / file)
    shutil.copyfile(inputs, job / "inputs.npz")
    models = [{"name": "model", "file": file, "threads": threads}]
    (job / "job.json").write_text(json.dumps({"mode": "layers", "models": models, "inputs": "inputs.npz"}))
    try:
        device.execute(job, timeout=timeout)
    except DeviceError as error:
        return None, error.line
    found = outcome.read_result(job)["models"]["model"]
    if found["layers"] is None:
        return None, found["reason"]
    placed = [{"position": position, **layer} for position, layer in enumerate(found["layers"])]
    return tuple(sorted(placed, key=lambda layer: -layer["median_us"])), None
