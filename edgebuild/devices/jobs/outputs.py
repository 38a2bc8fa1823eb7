"""Runs examples through a model on a device and brings the outputs back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.devices.jobs import job as jobs
from edgebuild.devices.jobs import result
from edgebuild.devices.jobs.job import JobModel
from edgebuild.devices.jobs.result import Outputs
from edgebuild.spec.device import Device

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array


def run(
    device: Device,
    model: JobModel,
    inputs: tuple[Array, ...],
    job: Path,
    timeout: float,
    seconds: float | None = None,
) -> Outputs:
    """Execute the model on every example; `job`/<name>.outputs.npz holds the outputs, the runner's result returns.

    With `seconds`, no example is begun after so much CPU time; the result says how many were run. `done` tells how far
    it is while it runs. Raises DeviceError when the runner fails.
    """
    jobs.write_inputs(job / jobs.INPUTS, inputs)
    jobs.write(job, "outputs", [model], job / jobs.INPUTS, **({} if seconds is None else {"seconds": seconds}))
    device.execute(job, timeout=timeout)
    return result.read(Outputs, job)


def done(job: Path) -> int:
    """How many examples a running job says it has run; 0 where it says nothing, as from another machine."""
    try:
        return int((job / "model.done").read_text())
    except (OSError, ValueError):
        return 0
