"""The time of each operator of a model on a device, where the runtime tells it, or by counted work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgebuild.devices.jobs import job as jobs
from edgebuild.devices.jobs import result
from edgebuild.spec.device import Device
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.evidence import Counted


@dataclass(frozen=True, slots=True)
class Layer:
    """An operator: its position in the order of execution, name and type, the shape of its first output.

    `median_us` are the microseconds that it takes in an inference. `share` is its part of what all operators take, or,
    where work is counted, of the whole inference.
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
    return _slowest_first(placed), None


@dataclass(frozen=True, slots=True)
class Whole:
    """An inference that was counted in a job, its work, and what predicts seconds of work on this core."""

    job: Path
    counted: Counted
    mcpu: str
    seconds: Callable[[Counted], float]


def count(
    device: Device, model: Path, inputs: Path, job: Path, whole: Whole, timeout: float
) -> tuple[Layers | None, str | None]:
    """The operators by predicted time, the slowest first, or None and the reason. `job` is a folder to be made.

    The runtime profiles itself, and reads a clock before and after each operator: the work between two readings is the
    operator's. Of it counts what the inference does without a profile too; parallel regions are shared out evenly.
    """
    jobs.write(job, "layer-counts", [jobs.JobModel("model", model)], inputs)
    try:
        parts = device.count_parts(job, whole.job, whole.mcpu, timeout=timeout)
    except DeviceError as error:
        return None, error.line
    counts = result.read(result.LayerCounts, job).models["model"]
    if counts.operators is None:
        return None, counts.reason
    if not counts.least <= len(parts) - 1 <= counts.most or any(each.region >= len(parts) for each in counts.operators):
        return None, f"the runtime read its clock {len(parts) - 1} times, not {counts.least} to {counts.most} times"
    return _slowest_first(list(_predicted(counts.operators, parts, whole))), None


def _predicted(operators: Sequence[result.CountedOperator], parts: Sequence[Counted], whole: Whole) -> Iterator[Layer]:
    every, regions = whole.seconds(whole.counted), whole.counted.operators / max(len(operators), 1)
    for position, each in enumerate(operators):
        seconds = whole.seconds(replace(parts[each.region], operators=regions))
        yield Layer(position, each.name, each.op, each.output, seconds * 1e6, seconds / every)


def _slowest_first(layers: Sequence[Layer]) -> Layers:
    return tuple(sorted(layers, key=lambda layer: -layer.median_us))
