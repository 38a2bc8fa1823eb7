"""Processes of one model each: their order, and what is read from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from edgebuild.devices.jobs.job import JobModel
from edgebuild.devices.local import Local
from edgebuild.devices.timing.pairs import PairTimings, measure_pairs
from edgebuild.spec.target import Timing
from edgebuild.travels import runner


@dataclass(frozen=True, slots=True)
class Drifting:
    """Becomes slower by 10 ns with every process; candidates take 200 ns, baselines 100 ns."""

    ran: list[str] = field(default_factory=list)
    transport: ClassVar[str] = "drifting"

    def execute(self, job: Path, *, timeout: float) -> None:
        (spec,) = json.loads((job / "job.json").read_text())["models"]
        slower = 10 * len(self.ran)
        self.ran.append(spec["name"])
        taken = [(200 if spec["name"].startswith("ours") else 100) + slower + k for k in range(20)]
        models = {spec["name"]: {"values_ns": taken, "warmup_ns": [700, 1], "load_ns": 300}}
        state: Mapping[str, Any] = {"fingerprint": {}, "fingerprint_after": {}}
        rss = {"base_rss_bytes": 10_000, "peak_rss_bytes": 10_100 if slower else 90_000}
        (job / "result.json").write_text(json.dumps({"runner": runner.VERSION, "models": models, **rss, **state}))


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    np.savez(tmp_path / "in.npz", **{"0": np.ones((1, 4), np.float32)})  # type: ignore[arg-type]
    return tmp_path / "in.npz"


def run(zoo: Path, inputs: Path, tmp_path: Path, device: Any, timing: Timing) -> PairTimings:
    models = [JobModel("ours-a", zoo / "wide.onnx"), JobModel("base-a", zoo / "mlp.onnx")]
    return measure_pairs(device, [(models[0], models[1])], inputs, tmp_path / "m", lambda _: False, timing)


def test_the_order_turns_from_block_to_block(zoo: Path, inputs: Path, tmp_path: Path) -> None:
    device = Drifting()
    run(zoo, inputs, tmp_path, device, Timing(looks=(2, 4)))
    assert device.ran == ["ours-a", "base-a", "base-a", "ours-a"] * 2


def test_what_is_read_from_the_processes(zoo: Path, inputs: Path, tmp_path: Path) -> None:
    found = run(zoo, inputs, tmp_path, Drifting(), Timing(looks=(2,)))
    assert found.percentiles("base-a", 0.95) == pytest.approx([128e-9, 138e-9])  # the 19th of 20
    assert found.percentiles("ours-a", 0.5) == pytest.approx([209e-9, 239e-9])
    assert found.cold_starts("ours-a") == pytest.approx([1e-6, 1e-6])
    assert found.memory("ours-a") == [80_000, 4096]  # less than a page cannot be told apart
    assert found.void is None


def test_on_this_machine_a_wide_model_needs_more_memory(zoo: Path, inputs: Path, tmp_path: Path) -> None:
    brief = Timing(looks=(2,), iterations=3, warmup_iterations=1, warmup=0.001)
    found = run(zoo, inputs, tmp_path, Local(), brief)
    assert all(0 < seconds < 10 for name in found.names for seconds in found.cold_starts(name))
    size = (zoo / "wide.onnx").stat().st_size
    assert min(found.memory("ours-a")) > size
    assert max(found.memory("base-a")) < min(found.memory("ours-a"))
    assert all(len(found.of(name).processes) == 2 for name in found.names)
