"""Unit processes end to end on this machine, and the order of looks on a device that only pretends."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from edgebuild.devices.jobs.job import JobModel
from edgebuild.devices.local import Local
from edgebuild.devices.timing.latency import Timings, measure
from edgebuild.devices.timing.process import UnitProcess
from edgebuild.gates.statistics.ratio import RatioVerdict, judge_ratio
from edgebuild.spec.device import Device
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.target import Timing
from edgebuild.travels import runner


@dataclass(frozen=True, slots=True)
class Pretend:
    """Answers every job with times that follow from its number."""

    jobs: list[Path] = field(default_factory=list)
    transport: ClassVar[str] = "pretend"

    def why_unusable(self) -> str | None:
        return None

    def fingerprint(self) -> dict[str, str]:
        return {}

    def execute(self, job: Path, *, timeout: float) -> None:
        content = json.loads((job / "job.json").read_text())
        assert all((job / spec["file"]).is_file() for spec in content["models"])
        self.jobs.append(job)
        times = {"base": [100, 200, 400], "ours": [150, 300, 600]}
        models = {name: {"values_ns": t, "warmup_ns": [1], "load_ns": 5} for name, t in times.items()}
        state = {"fingerprint": {}, "fingerprint_after": {}}
        result = {"runner": runner.VERSION, "models": models, "base_rss_bytes": 1, "peak_rss_bytes": 1, **state}
        (job / "result.json").write_text(json.dumps(result))


@pytest.fixture
def models(zoo: Path) -> list[JobModel]:
    return [JobModel("base", zoo / "mlp.onnx"), JobModel("ours", zoo / "wide.onnx", threads=2)]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    np.savez(tmp_path / "in.npz", **{"0": np.ones((3, 4), np.float32)})  # type: ignore[arg-type]
    return tmp_path / "in.npz"


def test_it_stops_at_the_look_that_decides(models: list[JobModel], inputs: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    def decide(timings: Timings) -> bool:
        asked.append(len(timings.processes))
        return len(asked) == 2

    device = Pretend()
    timings = measure(device, models, inputs, tmp_path / "m", decide, Timing(looks=(2, 5, 9)))
    assert asked == [2, 5]
    assert len(timings.processes) == len(device.jobs) == 5
    assert timings.medians("base") == (200.0,) * 5
    assert timings.log_ratios("ours", "base") == pytest.approx([math.log(1.5)] * 5)


def test_without_a_decision_it_ends_at_the_last_look(models: list[JobModel], inputs: Path, tmp_path: Path) -> None:
    assert len(measure(Pretend(), models, inputs, tmp_path / "m", lambda _: False, Timing(looks=(1, 3))).processes) == 3


def test_job_folders(models: list[JobModel], inputs: Path, tmp_path: Path, zoo: Path) -> None:
    device = Pretend()
    measure(device, models, inputs, tmp_path / "m", lambda _: True, Timing(looks=(3,), seed=40))
    jobs = [json.loads((job / "job.json").read_text()) for job in device.jobs]
    assert [job["seed"] for job in jobs] == [40, 41, 42]
    ours = {"name": "ours", "file": "ours.onnx", "threads": 2, "providers": [], "layouts": {}, "inputs": None}
    assert jobs[0]["models"][1] == ours
    assert (jobs[0]["iterations"], jobs[0]["warmup_iterations"], jobs[0]["warmup_seconds"]) == (200, 60, 2.0)
    assert sorted(p.name for p in device.jobs[0].iterdir()) == ["job.json", "result.json"]
    assert (zoo / "mlp.onnx").is_file()
    assert inputs.is_file()


def test_an_earlier_measurement_is_not_overwritten(models: list[JobModel], inputs: Path, tmp_path: Path) -> None:
    measure(Pretend(), models, inputs, tmp_path / "m", lambda _: True, Timing(looks=(1,)))
    with pytest.raises(FileExistsError):
        measure(Pretend(), models, inputs, tmp_path / "m", lambda _: True, Timing(looks=(1,)))


def test_the_ratio_is_taken_within_rounds() -> None:
    """A burst that slows both models in the same rounds must cancel."""
    base = [100, 100, 1000, 1000, 1000]
    values: Mapping[str, tuple[int, ...]] = {"base": tuple(base), "ours": tuple(int(v * 1.1) for v in base)}
    timings = Timings((UnitProcess(values, {}, {}, None, None, {}, {}),))
    assert timings.log_ratios("ours", "base") == pytest.approx([math.log(1.1)], rel=1e-3)


def test_a_failed_process_ends_the_measurement(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    bad = [JobModel("bad", tmp_path / "bad.onnx")]
    with pytest.raises(DeviceError, match="bad-model"):
        measure(Local(), bad, inputs, tmp_path / "m", lambda _: False, Timing(looks=(2,)))
    assert len(list((tmp_path / "m").iterdir())) == 1


def test_real_processes_to_a_real_verdict(inputs: Path, tmp_path: Path, zoo: Path) -> None:
    """A far wider model is slower, and the narrow one at least a tenth faster."""
    pair = [JobModel("base", zoo / "mlp.onnx"), JobModel("wide", zoo / "wide.onnx")]
    plan = Timing(looks=(6, 12), iterations=60, warmup_iterations=10, warmup=0.05)

    def wide(timings: Timings) -> RatioVerdict:
        return judge_ratio(timings.log_ratios("wide", "base"), 0.5, looks=(6, 12), alpha=0.1)

    device: Device = Local()
    timings = measure(device, pair, inputs, tmp_path / "m", lambda t: wide(t).status != "continue", plan)
    assert wide(timings).status == "fail"
    assert judge_ratio(timings.log_ratios("base", "wide"), -0.1, looks=(6, 12), alpha=0.1).status == "pass"
    assert len(timings.processes) in (6, 12)  # at the first look, unless the machine is very busy
    assert timings.processes[0].before["cores"] >= 1
