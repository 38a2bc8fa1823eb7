"""One process that times models on a device: its job folder, and what comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebuild.devices.jobs import job as jobs
from edgebuild.devices.jobs import outcome, result
from edgebuild.devices.jobs.job import JobModel
from edgebuild.devices.jobs.result import Latency
from edgebuild.spec.device import Device
from edgebuild.spec.target import Timing


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
    device: Device, job: Path, models: Sequence[JobModel], inputs: Path, timing: Timing, seed: int
) -> UnitProcess:
    """Time `models` in one process, interleaved in an order drawn with `seed`; `job` keeps its job and result.

    Raises DeviceError when it fails, FileExistsError when `job` is there already.
    """
    job.mkdir(parents=True)
    jobs.write(
        job,
        "latency",
        models,
        inputs,
        seed=seed,
        iterations=timing.iterations,
        warmup_iterations=timing.warmup_iterations,
        warmup_seconds=timing.warmup,
        **({} if math.isinf(timing.longest) else {"longest": timing.longest}),
    )
    try:
        device.execute(job, timeout=timing.timeout)
    finally:
        jobs.strip(job)
    answer, facts = result.read(Latency, job), outcome.read_result(job)
    return UnitProcess(
        values={name: model.values_ns for name, model in answer.models.items()},
        warmups={name: model.warmup_ns for name, model in answer.models.items()},
        load_ns={name: model.load_ns for name, model in answer.models.items()},
        base_rss_bytes=answer.base_rss_bytes,
        peak_rss_bytes=answer.peak_rss_bytes,
        before=facts["fingerprint"],
        after=facts["fingerprint_after"],
    )
