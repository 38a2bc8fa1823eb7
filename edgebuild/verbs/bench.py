"""Measures any model file on the devices of a target: no project, no data, no recipe."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebuild.devices.jobs import outcome
from edgebuild.devices.jobs.device import Device
from edgebuild.devices.jobs.outputs import write_inputs
from edgebuild.devices.jobs.turns import turn
from edgebuild.devices.timing import feeds, layers, predicted
from edgebuild.devices.timing.latency import measure
from edgebuild.devices.timing.process import TimedModel
from edgebuild.plan.instruments import Instrument, Instruments, addressed
from edgebuild.spec.core import TimeModel
from edgebuild.spec.errors import DeviceError, UsageError
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Target, Timing

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
    fed: tuple[feeds.Fed, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user wants the file to be fed: shapes such as "image=1,3,48,192", or an .npz of its inputs."""

    shapes: tuple[str, ...] = ()
    inputs: Path | None = None


def run(
    model: Path,
    target: Target,
    device: str | None = None,
    threads: int = 1,
    wanted: Wanted = Wanted(),
    seed: int = 0,
) -> Bench:
    """Measure one file with random inputs of its own shapes, or what is `wanted`; `device` names one in place of the
    target's.

    Raises UsageError for a file of no known format and for inputs that do not fit it or that it leaves open,
    DeviceError when the device or its runtime fails.
    """
    _check(model)
    instruments = Instruments(target)
    instrument = named(device, target) if device else instruments.best("latency")
    alone = not (instrument.device.counts or instrument.device.elsewhere)
    with tempfile.TemporaryDirectory(prefix="edgebuild-bench-") as folder, turn(alone=alone):
        inputs = Path(folder) / "inputs.npz"
        fed = _feed(instruments.host.device, model, wanted, Path(folder), seed)
        if instrument.device.counts and target.hardware.core is not None and target.hardware.core.time is not None:
            found = _counted(instrument, target, target.hardware.core.time, model, inputs, Path(folder), threads)
        elif instrument.fidelity == "emulated":  # time under an emulator says nothing
            raise DeviceError("work cannot be counted here, and emulated time is no latency", hint="edgebuild doctor")
        else:
            found = _timed(instrument, model, inputs, Path(folder), threads)
    device_facts = (instrument.device.transport, instrument.fidelity)
    return Bench(str(model), target.name, *device_facts, threads, **found, fed=fed, notices=tuple(instruments.notices))


def named(address: str, target: Target) -> Instrument:
    """The device that an address such as `ssh://pi@host` names; UsageError when it cannot be understood."""
    return Instruments.open(addressed(address), target)


def ports(host: Device, model: Path, folder: Path) -> list[dict[str, Any]]:
    """The inputs of a model file by position, as the runner describes them; `folder` gets a job of its own."""
    job = folder / "describe"
    job.mkdir()
    shutil.copyfile(model, job / f"model{model.suffix}")
    spec = {"name": "model", "file": f"model{model.suffix}"}
    (job / "job.json").write_text(json.dumps({"mode": "describe", "models": [spec]}))
    host.execute(job, timeout=_TIMEOUT)
    found: list[dict[str, Any]] = outcome.read_result(job)["models"]["model"]["inputs"]
    return found


def _feed(host: Device, model: Path, wanted: Wanted, folder: Path, seed: int) -> tuple[feeds.Fed, ...]:
    """Write `inputs.npz`: one example, which is all that the model takes; what each input got."""
    shapes = feeds.parse_shapes(wanted.shapes)
    arrays = feeds.read_arrays(wanted.inputs) if wanted.inputs is not None else None
    if arrays is not None and shapes:
        raise UsageError("goes without --inputs, which has shapes of its own", key="--shape")
    feeder = feeds.Feeder(model, ports(host, model, folder))
    chosen, fed = feeder.random(shapes, seed) if arrays is None else feeder.from_file(arrays, str(wanted.inputs))
    write_inputs(folder / "inputs.npz", tuple(values[None] for values in chosen))
    return fed


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
