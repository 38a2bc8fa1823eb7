"""The emulated core: its outputs are the host's where integers are computed, and its counts repeat and add up."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.devices.local import Local
from edgebuild.devices.qemu import Qemu
from edgebuild.evidence.agreement import compare
from edgebuild.evidence.count import Count
from edgebuild.evidence.outputs import Outputs
from edgebuild.evidence.parity import first_output
from edgebuild.evidence.predict import Predict
from edgebuild.spec.target import Hardware, Runtime
from tests import tiny
from tests.evidence import folders

Counter = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def count(made: tiny.Made, pi: Qemu, tmp_path_factory: pytest.TempPathFactory) -> Counter:
    """Count the work of an artifact; `run` tells runs of the same apart."""

    @cache
    def counted(artifact: str, run: int = 0) -> dict[str, Any]:
        inputs = {"model": (tiny.kind(artifact), made[artifact]), "data": ("data", made["data"])}
        folder = tmp_path_factory.mktemp("count") / f"run-{run}"
        found: dict[str, Any] = folders.read(tiny.perform(Count(pi, "cortex-a72"), folder, inputs))
        return found

    return counted


def test_int8_outputs_of_a_tflite_file_are_the_hosts_bit_for_bit(made: tiny.Made, pi: Qemu, tmp_path: Path) -> None:
    inputs = {"model": ("tflite", made["tflite-int8"]), "data": ("data", made["data"])}
    here = tiny.perform(Outputs(Local(), "host"), tmp_path / "here", inputs)
    there = tiny.perform(Outputs(pi, "emulated"), tmp_path / "there", inputs)
    host, device = first_output(here), first_output(there)
    assert host.shape == (400, 4)
    assert device.shape == (24, 4)  # as many as the device takes, the first ones
    assert device.tobytes() == np.ascontiguousarray(host[:24]).tobytes()
    assert compare(device, host[:24])["penalty"] == 0
    assert len(np.unique(device)) > 10
    origin = folders.read(there, "origin.json")
    assert (origin["fidelity"], origin["device"]) == ("emulated", "qemu")
    assert origin["runtimes"]["litert"]


def test_counts_repeat_to_a_ten_thousandth(count: Counter) -> None:
    first, second = count("tflite-int8"), count("tflite-int8", run=1)
    assert first["instructions"] == pytest.approx(second["instructions"], rel=1e-4)
    assert first["cycles"] == pytest.approx(second["cycles"], rel=1e-3)


def test_more_work_is_more_instructions_and_cycles(count: Counter) -> None:
    int8, float32 = count("tflite-int8"), count("tflite")
    assert float32["instructions"] > 1.1 * int8["instructions"]
    assert float32["cycles"] > 1.1 * int8["cycles"]


def test_every_instruction_has_a_class_and_every_cache_of_the_core_is_there(count: Counter) -> None:
    found = count("tflite-int8")
    assert sum(found["classes"].values()) == found["instructions"]
    assert set(found["caches"]) == {"l1d", "l1i", "l2"}
    assert all(0 < cache["misses"] <= cache["accesses"] for cache in found["caches"].values())
    assert found["caches"]["l2"]["accesses"] < found["caches"]["l1d"]["accesses"]
    assert 0.995 <= found["covered"] <= 1
    assert 0.3 < found["cycles"] / found["instructions"] < 3


def test_predicted_seconds_follow_from_the_counts(count: Counter, hardware: Hardware, tmp_path: Path) -> None:
    assert hardware.core is not None
    model = hardware.core.time
    assert model is not None
    inputs = {
        "candidate/tflite": folders.evidence(tmp_path / "candidate", count("tflite-int8")),
        "baseline/tflite": folders.evidence(tmp_path / "baseline", count("tflite")),
    }
    step = Predict(model, 1.5e9, (Runtime("tflite"),))
    whole = folders.read(tiny.perform(step, tmp_path / "out", inputs))
    found = whole["formats"]["tflite"]
    assert (whole["fidelity"], found["band"], found["ratio_band"], found["speed"]) == ("emulated", 0.3, 0.25, 1.0)
    least = count("tflite-int8")["cycles"] / 1.5e9
    assert least < found["candidate_seconds"][0] < 3 * least
    assert found["candidate_seconds"][0] < found["baseline_seconds"][0]
