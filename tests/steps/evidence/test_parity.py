"""How far a file is from the torch model, against numbers made by hand; and for real files of the tiny model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgebuild.devices.local import Local
from edgebuild.gates.parity import Parity as ParityGate
from edgebuild.spec import drawing, evidence
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import ONLY
from edgebuild.spec.registry import TASKS
from edgebuild.spec.signature import Head
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence.outputs import Outputs
from edgebuild.steps.evidence.parity import Parity, compare
from edgebuild.steps.evidence.torch_outputs import TorchOutputs
from tests import tiny
from tests.steps.evidence import folders

CLASSES = TASKS.get("classification")()
CHOOSING = Parity(heads=(Head(ONLY, "classification"),))
VALUES = Parity(heads=(Head(ONLY, "regression"),))


def test_differences_are_those_made_by_hand() -> None:
    differences = compare(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[3.0, 4.5], [0.0, 2.0]]), CLASSES)
    assert differences.n == 2
    assert differences.max_abs == 2.0
    assert differences.relative == pytest.approx(2 / 4.5)
    assert differences.cosine == pytest.approx(0.0)  # of the second example, at right angles
    assert differences.agreement == 0.5
    assert differences.snr_db == pytest.approx(10 * math.log10((9 + 20.25 + 4) / (0.25 + 1 + 4)))


def test_equal_outputs_have_no_noise() -> None:
    same = np.array([[3.0, 4.0], [1.0, 0.0]])
    differences = compare(same, same, CLASSES)
    assert (differences.max_abs, differences.relative, differences.agreement, differences.snr_db) == (0, 0, 1, 999)
    assert differences.cosine == pytest.approx(1.0)


def test_a_model_that_answers_zero_everywhere_is_compared_without_dividing_by_it() -> None:
    zero = np.zeros((2, 3))
    assert compare(zero, zero).relative == 0
    assert compare(zero + 1, zero).snr_db == 999  # no power to compare with; relative tells it
    assert compare(zero + 1, zero).relative > 1e9


def test_outputs_of_more_axes_are_compared_as_one_vector_an_example() -> None:
    ours, theirs = np.arange(12.0).reshape(2, 3, 2), np.ones((2, 3, 2))
    assert compare(ours, theirs, CLASSES) == compare(ours.reshape(2, 6), theirs.reshape(2, 6), CLASSES)


def test_a_device_that_takes_some_examples_is_compared_on_those_and_named(tmp_path: Path) -> None:
    torch = np.random.default_rng(0).normal(size=(30, 4))
    rows = drawing.chosen(30, 6)
    inputs = {
        "reference": folders.outputs(tmp_path / "torch", torch),
        "converted": folders.outputs(tmp_path / "float", torch),
        "candidate": folders.outputs(tmp_path / "int8", torch + 0.25),
        "device_converted": folders.outputs(tmp_path / "there", torch[rows[:3]] + 0.5, "emulated"),
        "device_candidate": folders.outputs(tmp_path / "there-int8", torch[rows] + 0.125, "emulated"),
    }
    parity = folders.read(evidence.Parity, tiny.perform(CHOOSING, tmp_path / "out", inputs))
    assert parity.device is not None
    assert (parity.origin.fidelity, parity.device.origin.fidelity) == ("host", "emulated")
    here, there = parity.outputs[ONLY], parity.device.outputs[ONLY]
    assert (here.converted.n, here.candidate.n, there.converted.n, there.candidate.n) == (30, 30, 3, 6)
    assert (here.converted.max_abs, here.candidate.max_abs) == (0, pytest.approx(0.25))
    assert there.converted.max_abs == pytest.approx(0.5)
    assert there.candidate.max_abs == pytest.approx(0.125)


def test_real_files_are_near_the_torch_model_and_the_evidence_says_where_they_ran(
    made: tiny.Made, tmp_path: Path
) -> None:
    """The float file to a few units of float32, the int8 file to a few per cent."""
    data = ("data", made["data"])
    local = Outputs(Local(), "host")
    inputs = {
        "reference": ("outputs", tiny.perform(TorchOutputs(), tmp_path / "torch",
                                              {"model": ("torch", made["float"]), "data": data})),
        "converted": ("outputs", tiny.perform(local, tmp_path / "float",
                                              {"model": ("onnx", made["onnx"]), "data": data})),
        "candidate": ("outputs", tiny.perform(local, tmp_path / "int8",
                                              {"model": ("onnx", made["onnx-int8"]), "data": data})),
    }  # fmt: skip
    parity = folders.read(evidence.Parity, tiny.perform(CHOOSING, tmp_path / "out", inputs))
    converted, candidate = parity.outputs[ONLY].converted, parity.outputs[ONLY].candidate
    assert converted.n == 400  # every held-out example
    assert converted.relative < 1e-4
    assert converted.agreement == 1.0
    assert 1e-4 < candidate.relative < 0.1
    assert 20 < candidate.snr_db < converted.snr_db
    assert parity.origin == evidence.Origin("host", "local", parity.origin.runtimes)
    assert parity.origin.runtimes["onnxruntime"]


@pytest.mark.parametrize("broken", ["reference", "converted", "candidate"])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_answers_that_are_no_numbers_are_an_error_and_not_evidence(tmp_path: Path, broken: str, value: float) -> None:
    inputs = {}
    for role in ("reference", "converted", "candidate"):
        answers = np.ones((4, 3))
        answers[2, 1] = value if role == broken else 1
        inputs[role] = folders.outputs(tmp_path / role, answers)
    with pytest.raises(UsageError, match="answers NaN or infinite values on held-out examples, first on example 2"):
        tiny.perform(CHOOSING, tmp_path / "out", inputs)
    assert list((tmp_path / "out").iterdir()) == []


def test_of_values_that_are_no_scores_no_largest_is_compared(tmp_path: Path) -> None:
    roles = ("reference", "converted", "candidate")
    inputs = {role: folders.outputs(tmp_path / role, np.eye(3) + k / 8) for k, role in enumerate(roles)}
    parity = folders.read(evidence.Parity, tiny.perform(VALUES, tmp_path / "out", inputs))
    output = parity.outputs[ONLY]
    assert (output.converted.relative, output.candidate.relative) == (1 / 8, 1 / 4)
    assert output.converted.agreement is None
    verdict = ParityGate().judge(Gate("parity", "0.2"), evidence.Evidence(parity=parity))
    assert verdict.status == "pass"
    assert verdict.reason.startswith("float conversion is off by 1.2e-01, the shipped file by 2.5e-01 of the range at ")
