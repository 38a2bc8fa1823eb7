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
from edgebuild.measure import predicted
from edgebuild.measure.latency import TimedModel, measure
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.spec.errors import DeviceError, UsageError
from edgebuild.spec.registry import DEVICES, FORMATS
from edgebuild.spec.target import DeviceSpec, Target, Timing

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array

_TIMEOUT = 1800.0
# A quick look, not a verdict: no baseline is interleaved and no limit decides when to stop.
_LOOK = Timing(looks=(3,), iterations=100, warmup=0.5)


@dataclass(frozen=True, slots=True)
class Bench:
    """What was measured: seconds with their band or spread, and the counted work where the device counts."""

    model: str
    target: str
    device: str
    fidelity: str
    threads: int
    seconds: float
    low: float
    high: float
    counted: dict[str, Any] | None
    notices: tuple[str, ...]


def run(model: Path, target: Target, device: str | None = None, threads: int = 1, seed: int = 0) -> Bench:
    """Measure one file with random inputs of its own shapes; `device` names one in place of the target's.

    Raises UsageError for a file of no known format, DeviceError when the device or its runtime fails.
    """
    _check(model)
    instruments = Instruments(target)
    instrument = named(device, target) if device else instruments.best("latency")
    with tempfile.TemporaryDirectory(prefix="edgebuild-bench-") as folder:
        inputs = Path(folder) / "inputs.npz"
        write_inputs(inputs, random_inputs(instruments.host.device, model, Path(folder), seed))
        core = target.hardware.core
        if instrument.device.counts and core is not None and core.time is not None:
            found = _count(instrument, model, inputs, Path(folder), core.time.mcpu)
            seconds = predicted.seconds(found, core.time, target.hardware.clock or 1e9, threads)
            spread, counted = core.time.band(threads), found
            low, high = seconds * (1 - spread), seconds * (1 + spread)
        elif instrument.fidelity == "emulated":  # time under an emulator says nothing
            raise DeviceError("work cannot be counted here, and emulated time is no latency", hint="edgebuild doctor")
        else:
            low, seconds, high = _time(instrument, model, inputs, Path(folder) / "jobs", threads)
            counted = None
    transport, notices = instrument.device.transport, tuple(instruments.notices)
    return Bench(str(model), target.name, transport, instrument.fidelity, threads, seconds, low, high, counted, notices)


def named(address: str, target: Target) -> Instrument:
    """The device that an address such as `ssh://pi@host` names; UsageError when it cannot be understood."""
    transport, _, place = address.partition("://")
    kind = DEVICES.get(transport, key="--device")
    if place and not hasattr(kind, "from_address"):
        raise UsageError(f"{transport} takes no address, got {place!r}", key="--device")
    spec = DeviceSpec(transport, options=kind.from_address(place) if place else {}, key="--device")
    return Instruments.open(spec, target)


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


def _count(instrument: Instrument, model: Path, inputs: Path, folder: Path, mcpu: str) -> dict[str, Any]:
    job = folder / "count"
    job.mkdir()
    shutil.copyfile(model, job / f"model{model.suffix}")
    shutil.copyfile(inputs, job / "inputs.npz")
    models = [{"name": f"m{repeat}", "file": f"model{model.suffix}", "threads": 1} for repeat in range(3)]
    (job / "job.json").write_text(json.dumps({"mode": "count", "models": models, "inputs": "inputs.npz"}))
    counted: dict[str, Any] = instrument.device.count(job, mcpu, timeout=_TIMEOUT)  # type: ignore[attr-defined]
    return counted


def _time(instrument: Instrument, model: Path, inputs: Path, folder: Path, threads: int) -> tuple[float, float, float]:
    """Seconds: the least, the middle and the largest of the processes' medians."""
    timed = TimedModel("model", model, threads)
    timings = measure(instrument.device, [timed], inputs, folder, lambda _: True, _LOOK)
    ordered = sorted(value * 1e-9 for value in timings.medians("model"))
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]
