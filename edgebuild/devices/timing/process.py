"""One process that times models on a device: its job folder, and what comes back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgebuild.devices.jobs import outcome
from edgebuild.devices.jobs.device import Device
from edgebuild.spec.target import Timing


@dataclass(frozen=True, slots=True)
class TimedModel:
    """A model to time: its name in the results, its file, and how the runtime is to run it.

    `layouts` are those of `spec.layout.of_file`, where what it is fed is laid out as in PyTorch.
    """

    name: str
    file: Path
    threads: int = 1
    providers: tuple[str, ...] = ()
    layouts: Mapping[str, list[str | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnitProcess:
    """What one process measured: nanoseconds by model, `values[name][i]` belonging to round i.

    `warmups` are kept apart from `values`; `load_ns` is the time to load the model; `base_rss_bytes` is the memory of
    the process with runtime and inputs but without a model, `peak_rss_bytes` the most it had from then on; `before` and
    `after` are the device's fingerprints (frequency, temperature, throttle bits …) around the measurement.
    """

    values: Mapping[str, tuple[int, ...]]
    warmups: Mapping[str, tuple[int, ...]]
    load_ns: Mapping[str, int]
    base_rss_bytes: int | None
    peak_rss_bytes: int | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def run_process(
    device: Device, job: Path, models: Sequence[TimedModel], inputs: Path, timing: Timing, seed: int
) -> UnitProcess:
    """Time `models` in one process, interleaved in an order drawn with `seed`; `job` keeps its job and result.

    Raises DeviceError when it fails, FileExistsError when `job` is there already.
    """
    _prepare(job, models, inputs, timing, seed)
    return _run(device, job, timing.timeout)


def _prepare(job: Path, models: Sequence[TimedModel], inputs: Path, timing: Timing, seed: int) -> None:
    """Make a complete job folder."""
    job.mkdir(parents=True)
    _share(inputs, job / "inputs.npz")
    specs = []
    for model in models:
        file = f"{model.name}{model.file.suffix}"
        _share(model.file, job / file)
        specs.append(asdict(model) | {"file": file})
    content = {
        "mode": "latency",
        "models": specs,
        "inputs": "inputs.npz",
        "seed": seed,
        "iterations": timing.iterations,
        "warmup_iterations": timing.warmup_iterations,
        "warmup_seconds": timing.warmup,
    }
    (job / "job.json").write_text(json.dumps(content), encoding="utf-8")


def _run(device: Device, job: Path, timeout: float) -> UnitProcess:
    """Execute one job folder; what was copied into it is removed, what it measured stays."""
    try:
        device.execute(job, timeout=timeout)
    finally:
        content = json.loads((job / "job.json").read_text(encoding="utf-8"))
        for file in (content["inputs"], *(spec["file"] for spec in content["models"])):
            (job / file).unlink(missing_ok=True)
    return _unit(outcome.read_result(job))


def _unit(result: Mapping[str, Any]) -> UnitProcess:
    """The runner's result as a value."""
    models = result["models"]
    return UnitProcess(
        values={name: tuple(found["values_ns"]) for name, found in models.items()},
        warmups={name: tuple(found["warmup_ns"]) for name, found in models.items()},
        load_ns={name: found["load_ns"] for name, found in models.items()},
        base_rss_bytes=result["base_rss_bytes"],
        peak_rss_bytes=result["peak_rss_bytes"],
        before=result["fingerprint"],
        after=result["fingerprint_after"],
    )


def _share(source: Path, target: Path) -> None:
    """Hard link, or a copy where file systems differ: runners only read, and forty copies of a model are
    big.
    """
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
