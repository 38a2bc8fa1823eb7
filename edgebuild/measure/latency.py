"""Times models against each other on a device: unit processes, one after the other, until a rule has enough.

Every value comes from models interleaved inside one process (GATES.md), so drift of the machine hits all
alike. Nothing is repeated, dropped or retried here: a process that fails ends the measurement.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from edgebuild.jobs import outcome
from edgebuild.jobs.device import Device
from edgebuild.measure.percentile import SlowCounts
from edgebuild.spec.target import Timing


@dataclass(frozen=True, slots=True)
class TimedModel:
    """A model to time: its name in the results, its file, and how the runtime is to run it."""

    name: str
    file: Path
    threads: int = 1
    providers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitProcess:
    """What one process measured: nanoseconds by model, `values[name][i]` belonging to round i.

    `warmups` are kept apart from `values`; `load_ns` is the time to load the model; `before` and `after` are
    the device's fingerprints (frequency, temperature, throttle bits …) around the measurement.
    """

    values: Mapping[str, tuple[int, ...]]
    warmups: Mapping[str, tuple[int, ...]]
    load_ns: Mapping[str, int]
    peak_rss_bytes: int | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Timings:
    """The unit processes of one measurement, in the order in which they ran."""

    processes: tuple[UnitProcess, ...]

    def medians(self, name: str) -> tuple[float, ...]:
        """Median nanoseconds of an inference, one value a process."""
        return tuple(float(median(process.values[name])) for process in self.processes)

    def percentiles(self, name: str, share: float) -> list[float]:
        """Seconds within which this share of a process's inferences ended: the least such value, one a process."""
        ordered = [sorted(process.values[name]) for process in self.processes]
        return [values[math.ceil(share * len(values)) - 1] * 1e-9 for values in ordered]

    def slow(self, name: str, share: float, limit: float) -> SlowCounts:
        """What a limit of `limit` seconds on a percentile is judged by."""
        over = [sum(value * 1e-9 > limit for value in process.values[name]) for process in self.processes]
        each = len(self.processes[0].values[name])
        return SlowCounts(share, limit, each, over, self.percentiles(name, share))

    def log_ratios(self, candidate: str, baseline: str) -> tuple[float, ...]:
        """Median over rounds of ln(candidate / baseline), one value a process.

        The ratio is taken within a round, before the median, so that what slows both in a round cancels.
        """
        return tuple(
            median(
                math.log(ours / theirs)
                for ours, theirs in zip(process.values[candidate], process.values[baseline], strict=True)
            )
            for process in self.processes
        )


def measure(
    device: Device,
    models: Sequence[TimedModel],
    inputs: Path,
    folder: Path,
    decide: Callable[[Timings], bool],
    timing: Timing,
) -> Timings:
    """Run unit processes of all `models` on `device`, up to the last look of `timing`.

    `inputs` is an .npz of arrays "0", "1", … with examples on axis 0.  `decide` is asked after each look and
    ends the measurement by answering True.  Each process leaves its job and result in `folder`/process-NNN.

    Raises DeviceError when a process fails, FileExistsError when `folder` holds an earlier measurement.
    """
    done: list[UnitProcess] = []
    for look in timing.looks:
        while len(done) < look:
            job = folder / f"process-{len(done):03}"
            done.append(_run(device, _prepare(job, models, inputs, timing, timing.seed + len(done)), timing.timeout))
        if decide(Timings(tuple(done))):
            break
    return Timings(tuple(done))


def _prepare(job: Path, models: Sequence[TimedModel], inputs: Path, timing: Timing, seed: int) -> Path:
    """A complete job folder; each process gets a seed, hence an order of the models, of its own."""
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
    return job


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
