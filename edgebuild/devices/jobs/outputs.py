"""Runs examples through a model on a device and brings the outputs back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.devices.jobs import outcome
from edgebuild.devices.jobs.device import Device

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array


@dataclass(frozen=True, slots=True)
class ModelJob:
    """A model file and how the device's runtime is to run it; `layouts` are those of `spec.layout.of_file`."""

    file: Path
    threads: int = 1
    providers: tuple[str, ...] = ()
    layouts: Mapping[str, list[str | None]] = field(default_factory=dict)


def write_inputs(path: Path, inputs: tuple[Array, ...]) -> None:
    """Write the inputs of a job: arrays "0", "1", … by argument position, examples on axis 0."""
    import numpy as np

    np.savez(path, **{str(position): values for position, values in enumerate(inputs)})  # type: ignore[arg-type]


def run(
    device: Device,
    model: ModelJob,
    inputs: tuple[Array, ...],
    job: Path,
    timeout: float,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Execute the model on every example; `job`/model.outputs.npz holds the outputs, the runner's result returns.

    With `seconds`, no example is begun after so much CPU time; the result says how many were run. `done` tells how far
    it is while it runs. Raises DeviceError when the runner fails.
    """
    name = f"model{model.file.suffix}"
    shutil.copyfile(model.file, job / name)
    write_inputs(job / "inputs.npz", inputs)
    spec: dict[str, Any] = {"name": "model", "file": name, "threads": model.threads}
    spec |= {"providers": list(model.providers), "layouts": dict(model.layouts)}
    limited = {} if seconds is None else {"seconds": seconds}
    (job / "job.json").write_text(json.dumps({"mode": "outputs", "models": [spec], "inputs": "inputs.npz"} | limited))
    device.execute(job, timeout=timeout)
    return outcome.read_result(job)


def done(job: Path) -> int:
    """How many examples a running job says it has run; 0 where it says nothing, as from another machine."""
    try:
        return int((job / "model.done").read_text())
    except (OSError, ValueError):
        return 0
