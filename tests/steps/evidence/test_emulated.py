"""The emulated core: its outputs are the host's where integers are computed, and its counts repeat and add up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebuild.devices.local import Local
from edgebuild.devices.qemu import Qemu
from edgebuild.formats.tflite import Tflite
from edgebuild.spec import drawing
from edgebuild.spec.evidence import ORIGIN, CacheWork, Counted, Latencies, Operators, Origin, Predicted, SharedWork
from edgebuild.spec.target import Hardware, Runtime
from edgebuild.steps.evidence._outputs import read
from edgebuild.steps.evidence.agreement import compare
from edgebuild.steps.evidence.count import Count
from edgebuild.steps.evidence.outputs import Outputs
from edgebuild.steps.evidence.predict import Predict
from tests import tiny
from tests.steps.evidence import folders


def count(made: tiny.Made, pi: Qemu, artifact: str, folder: Path) -> Counted:
    inputs = {"model": (tiny.kind(artifact), made[artifact]), "data": ("data", made["data"])}
    return folders.read(Counted, tiny.perform(Count(pi, "cortex-a72"), folder, inputs))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all counting happens."""
    return tmp_path_factory.mktemp("count")


@pytest.fixture(scope="module")
def counted(made: tiny.Made, pi: Qemu, place: Path) -> Counted:
    """The work of the int8 file."""
    return count(made, pi, "tflite-int8", place / "a")


def test_int8_outputs_of_a_tflite_file_are_the_hosts_bit_for_bit(made: tiny.Made, pi: Qemu, tmp_path: Path) -> None:
    inputs = {"model": ("tflite", made["tflite-int8"]), "data": ("data", made["data"])}
    here = tiny.perform(Outputs(Local(), "host"), tmp_path / "here", inputs)
    there = tiny.perform(Outputs(pi, "emulated", most=24), tmp_path / "there", inputs)
    (host,), (device,) = read(here), read(there)
    assert host.shape == (400, 4)
    assert device.shape == (24, 4)  # drawn at random
    same = host[drawing.chosen(400, 24)]
    assert device.tobytes() == np.ascontiguousarray(same).tobytes()
    assert compare([device], [same]).identical
    assert len(np.unique(device)) > 10
    origin = folders.read(Origin, there, ORIGIN)
    assert (origin.fidelity, origin.device) == ("emulated", "qemu")
    assert origin.runtimes["litert"]


def test_counts_repeat_wherever_the_job_lies(made: tiny.Made, pi: Qemu, counted: Counted, place: Path) -> None:
    """Text on the stack, such as a longer path, would move it, and a hundred instructions come or go."""
    again = count(made, pi, "tflite-int8", place / ("b" * 61))
    assert again.instructions == pytest.approx(counted.instructions, rel=1e-5)
    assert again.cycles == pytest.approx(counted.cycles, rel=1e-4)


def test_more_work_is_more_instructions_and_cycles(made: tiny.Made, pi: Qemu, counted: Counted, place: Path) -> None:
    float32 = count(made, pi, "tflite", place / "c")
    assert float32.instructions > 1.1 * counted.instructions
    assert float32.cycles > 1.1 * counted.cycles


def test_every_instruction_has_a_class_and_every_cache_of_the_core_is_there(counted: Counted) -> None:
    assert sum(counted.classes.values()) == counted.instructions
    assert set(counted.caches) == {"l1d", "l1i", "l2"}
    assert all(0 < cache.misses <= cache.accesses for cache in counted.caches.values())
    assert counted.caches["l2"].accesses < counted.caches["l1d"].accesses
    assert 0.995 <= counted.covered <= 1
    assert 0.3 < counted.cycles / counted.instructions < 3


def test_the_operators_of_the_file_are_counted_too_for_each_is_a_parallel_region(
    made: tiny.Made, counted: Counted
) -> None:
    assert counted.operators == len(Tflite().work((made["tflite-int8"] / Tflite.file).read_bytes())) > 3


def test_predicted_seconds_follow_from_the_counts(counted: Counted, hardware: Hardware, tmp_path: Path) -> None:
    assert hardware.core is not None
    model = hardware.core.time
    assert model is not None
    caches = {name: CacheWork(cache.accesses, 2 * cache.misses) for name, cache in counted.caches.items()}
    twice = replace(counted, cycles=2 * counted.cycles, caches=caches)
    inputs = {
        "candidate/tflite": folders.evidence(tmp_path / "candidate", counted),
        "baseline/tflite": folders.evidence(tmp_path / "baseline", twice),
        "shared/tflite": folders.evidence(tmp_path / "shared", SharedWork(0.0, 0.0, Operators(0, 1, 1))),
    }
    step = Predict(model, 1.5e9, (Runtime("tflite"),))
    predicted = folders.read(Latencies, tiny.perform(step, tmp_path / "out", inputs)).formats["tflite"]
    assert isinstance(predicted, Predicted)
    told = predicted.fidelity, predicted.band, predicted.ratio_band, predicted.speed
    assert told == ("emulated", model.band("tflite", 1), model.ratio_band, 1.0)
    assert predicted.ratio_limits == pytest.approx((1 - model.ratio_band, 1 + model.ratio_band))
    least = counted.cycles / 1.5e9
    assert least < predicted.candidate_seconds[0] < 3 * least
    assert predicted.baseline_seconds[0] == pytest.approx(2 * predicted.candidate_seconds[0])
