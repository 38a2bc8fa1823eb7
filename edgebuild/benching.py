"""Measures any model file on the devices of a target: no project, no data, no recipe."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.jobs import outcome
from edgebuild.jobs.device import Device
from edgebuild.jobs.outputs import write_inputs
from edgebuild.jobs.turns import turn
from edgebuild.measure import layers, predicted
from edgebuild.measure.latency import measure
from edgebuild.measure.process import TimedModel
from edgebuild.plan.instruments import Instrument, Instruments, addressed
from edgebuild.spec.core import TimeModel
from edgebuild.spec.errors import DeviceError, UsageError
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Target, Timing

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array

_TIMEOUT = 1800.0
_NO_LAYERS = "an emulator counts blocks of machine code, which belong to no one operator, and its time is no evidence"
# A quick look, not a verdict: no baseline is interleaved and no limit decides when to stop.
_LOOK = Timing(looks=(3,), iterations=100, warmup=0.5)


@dataclass(frozen=True, slots=True)
class Bench:
    """What was measured: seconds with their band or spread, and the counted work where the device counts.

    `layers` are those of `measure/layers.py`, slowest first; None where there are none, and `layers_reason` says why.
    """

    model: str
    target: str
    device: str
    fidelity: str
    threads: int
    seconds: float
    low: float
    high: float
    counted: dict[str, Any] | None
    layers: layers.Layers | None
    layers_reason: str | None
    notices: tuple[str, ...]


def run(model: Path, target: Target, device: str | None = None, threads: int = 1, seed: int = 0) -> Bench:
    """Measure one file with random inputs of its own shapes; `device` names one in place of the target's.

    Raises UsageError for a file of no known format, DeviceError when the device or its runtime fails.
    """
    _check(model)
    instruments = Instruments(target)
    instrument = named(device, target) if device else instruments.best("latency")
    alone = not (instrument.device.counts or instrument.device.elsewhere)
    with tempfile.TemporaryDirectory(prefix="edgebuild-bench-") as folder, turn(alone=alone):
        inputs = Path(folder) / "inputs.npz"
        write_inputs(inputs, random_inputs(instruments.host.device, model, Path(folder), seed))
        if instrument.device.counts and target.hardware.core is not None and target.hardware.core.time is not None:
            found = _counted(instrument, target, target.hardware.core.time, model, inputs, Path(folder), threads)
        elif instrument.fidelity == "emulated":  # time under an emulator says nothing
            raise DeviceError("work cannot be counted here, and emulated time is no latency", hint="edgebuild doctor")
        else:
            found = _timed(instrument, model, inputs, Path(folder), threads)
    device_facts = (instrument.device.transport, instrument.fidelity)
    return Bench(str(model), target.name, *device_facts, threads, **found, notices=tuple(instruments.notices))


def named(address: str, target: Target) -> Instrument:
    """The device that an address such as `ssh://pi@host` names; UsageError when it cannot be understood."""
    return Instruments.open(addressed(address), target)


def random_inputs(host: Device, model: Path, folder: Path, seed: int) -> tuple[Array, ...]:
    """One example for each input of the model, of its own shape and type; open axes become 1."""
    import numpy as np

    job = folder / "describe"
    job.mkdir()
    shutil.copyfile(model, job / f"model{model.suffix}")
    spec = {"name": "model", "file": f"model{model.suffix}"}
    (job / "job.json").write_text(json.dumps({"mode": "describe", "models": [spec]}))
    host.execute(job, timeout=_TIMEOUT)
    rng = np.random.default_rng(seed)
    made = []
    for port in outcome.read_result(job)["models"]["model"]["inputs"]:
        shape = [1, *(max(axis, 1) for axis in port["shape"][1:])]
        whole = np.issubdtype(np.dtype(port["dtype"]), np.integer) and port["dtype"] not in ("int8", "uint8")
        # Whole numbers are mostly indices; those of an 8-bit input are quantized by the runner from real values.
        made.append(rng.integers(0, 2, shape) if whole else rng.uniform(-1, 1, shape).astype(np.float32))
    return tuple(made)


def _check(model: Path) -> None:
    known = {Path(FORMATS.get(name).file).suffix for name in FORMATS.names()}
    if model.suffix not in known:
        raise UsageError(
            f"{model.suffix or 'a file without ending'} is no known format",
            file=str(model),
            hint=", ".join(sorted(known)),
        )
    if not model.is_file():
        raise UsageError("no such file", file=str(model))
    try:
        with model.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=str(model)) from None


def _counted(
    instrument: Instrument, target: Target, model: TimeModel, file: Path, inputs: Path, folder: Path, threads: int
) -> dict[str, Any]:
    """Seconds that follow from counted work, with the target's band."""
    counted = _count(instrument, file, inputs, folder, model.mcpu)
    seconds, band = predicted.seconds(counted, model, target.hardware.core_clock, threads), model.band(threads)
    found = {"seconds": seconds, "low": seconds * (1 - band), "high": seconds * (1 + band), "counted": counted}
    return found | {"layers": None, "layers_reason": _NO_LAYERS}


def _timed(instrument: Instrument, file: Path, inputs: Path, folder: Path, threads: int) -> dict[str, Any]:
    """Seconds: the least, the middle and the largest of the processes' medians; then, apart, the time of the layers."""
    timed = TimedModel("model", file, threads)
    timings = measure(instrument.device, [timed], inputs, folder / "jobs", lambda _: True, _LOOK)
    if timings.void:
        raise DeviceError(f"{instrument.device.transport}: {timings.void}")
    ordered = sorted(value * 1e-9 for value in timings.medians("model"))
    found = {"seconds": ordered[len(ordered) // 2], "low": ordered[0], "high": ordered[-1], "counted": None}
    parts, reason = layers.measure(instrument.device, file, inputs, folder / "layers", threads, _TIMEOUT)
    return found | {"layers": parts, "layers_reason": reason}


def _count(instrument: Instrument, model: Path, inputs: Path, folder: Path, mcpu: str) -> dict[str, Any]:
    job = folder / "count"
    job.mkdir()
    shutil.copyfile(model, job / f"model{model.suffix}")
    shutil.copyfile(inputs, job / "inputs.npz")
    models = [{"name": f"m{repeat}", "file": f"model{model.suffix}", "threads": 1} for repeat in range(3)]
    (job / "job.json").write_text(json.dumps({"mode": "count", "models": models, "inputs": "inputs.npz"}))
    counted: dict[str, Any] = instrument.device.count(job, mcpu, timeout=_TIMEOUT)  # type: ignore[attr-defined]
    return counted
