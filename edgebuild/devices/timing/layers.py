"""The time of each operator of a model on a device, where the runtime tells it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebuild.devices.jobs import job as jobs
from edgebuild.devices.jobs import result
from edgebuild.spec.device import Device
from edgebuild.spec.errors import DeviceError


@dataclass(frozen=True, slots=True)
class Layer:
    """An operator: its position in the order of execution, name and type, the shape of its first output.

    `median_us` are the microseconds that it takes in an inference, `share` is its part of what all take.
    """

    position: int
    name: str
    op: str
    output: tuple[int, ...] | None
    median_us: float
    share: float


Layers = tuple[Layer, ...]


def measure(
    device: Device, model: Path, inputs: Path, job: Path, threads: int, timeout: float
) -> tuple[Layers | None, str | None]:
    """The operators, the slowest first, or None and the reason.

    `job` is a folder to be made.

    A runtime's profile slows what it watches: this is a process of its own, whose times say where the time goes and
    are no latency. A device that fails here has measured all else before, so that is a reason too.
    """
    jobs.write(job, "layers", [jobs.JobModel("model", model, threads)], inputs)
    try:
        device.execute(job, timeout=timeout)
    except DeviceError as error:
        return None, error.line
    profile = result.read(result.Layers, job).models["model"]
    if profile.layers is None:
        return None, profile.reason
    placed = [
        Layer(position, each.name, each.op, each.output, each.median_us, each.share)
        for position, each in enumerate(profile.layers)
    ]
    return tuple(sorted(placed, key=lambda layer: -layer.median_us)), None
