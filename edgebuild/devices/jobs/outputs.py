"""Runs examples through a model on a device and brings the outputs back."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.devices.jobs import job as jobs
from edgebuild.devices.jobs import result
from edgebuild.devices.jobs.job import JobModel
from edgebuild.devices.jobs.result import Outputs
from edgebuild.spec import dataset
from edgebuild.spec.device import Device
from edgebuild.spec.signature import Loop

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Rows

_JOB_BYTES = 2**26  # of inputs that one job carries: it is in memory here and there, as what the model takes


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


def run_looped(
    device: Device,
    model: JobModel,
    inputs: tuple[Rows, ...],
    job: Path,
    timeout: float,
    loops: Sequence[Loop],
    streams: Array | None,
    seconds: float | None = None,
) -> Outputs:
    """As `run`, one example after another in order: outputs come back as the inputs that `loops` name, but where one of
    the `streams` [N] begins.
    """
    import numpy as np

    first = dataset.starts(streams) if streams is not None else np.ones(len(inputs[0]), bool)
    limit = {} if seconds is None else {"seconds": seconds}
    jobs.write_inputs(job / jobs.INPUTS, tuple(values[:] for values in inputs))
    pairs = [[one.input, one.output] for one in loops]
    jobs.write(job, "outputs", [model], job / jobs.INPUTS, loops=pairs, starts=np.flatnonzero(first).tolist(), **limit)
    device.execute(job, timeout=timeout)
    return result.read(Outputs, job)


def at_once(inputs: Sequence[Rows]) -> int:
    """How many examples one job carries."""
    return max(1, _JOB_BYTES // max(1, sum(values[:1].nbytes for values in inputs)))


def run_all(device: Device, model: JobModel, inputs: tuple[Rows, ...], job: Path, timeout: float) -> Outputs:
    """As `run`, for examples that need not fit into memory: in jobs one after another, each with the `timeout`."""
    import numpy as np

    size = at_once(inputs)
    parts: list[list[Array]] = []
    if len(inputs[0]) <= size:
        return run(device, model, tuple(values[:] for values in inputs), job, timeout)
    for first in range(0, len(inputs[0]), size):
        part = job / f"from-{first}"
        part.mkdir()
        ran = run(device, model, tuple(values[first : first + size] for values in inputs), part, timeout)
        with np.load(part / f"{model.name}.outputs.npz") as stored:
            parts.append([stored[str(position)] for position in range(len(stored.files))])
        shutil.rmtree(part)
    whole = {str(position): np.concatenate(values) for position, values in enumerate(zip(*parts, strict=True))}
    np.savez(job / f"{model.name}.outputs.npz", **whole)  # type: ignore[arg-type]
    return ran


def done(job: Path) -> int:
    """How many examples a running job says it has run; 0 where it says nothing, as from another machine."""
    try:
        return int((job / "model.done").read_text())
    except (OSError, ValueError):
        return 0
