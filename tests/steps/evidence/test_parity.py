"""How far a file is from the torch model, against numbers made by hand; and for real files of the tiny model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgebuild.devices.local import Local
from edgebuild.gates.parity import Parity as ParityGate
from edgebuild.spec import dataset
from edgebuild.spec.errors import StepError
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence.outputs import Outputs
from edgebuild.steps.evidence.parity import Parity, compare
from edgebuild.steps.evidence.torch_outputs import TorchOutputs
from tests import tiny
from tests.steps.evidence import folders


def test_differences_are_those_made_by_hand() -> None:
    found = compare(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[3.0, 4.5], [0.0, 2.0]]))
    assert found["n"] == 2
    assert found["max_abs"] == 2.0
    assert found["relative"] == pytest.approx(2 / 4.5)
    assert found["cosine"] == pytest.approx(0.0)  # of the second example, at right angles
    assert found["agreement"] == 0.5
    assert found["snr_db"] == pytest.approx(10 * math.log10((9 + 20.25 + 4) / (0.25 + 1 + 4)))


def test_equal_outputs_have_no_noise() -> None:
    same = np.array([[3.0, 4.0], [1.0, 0.0]])
    found = compare(same, same)
    assert (found["max_abs"], found["relative"], found["agreement"], found["snr_db"]) == (0, 0, 1, 999)
    assert found["cosine"] == pytest.approx(1.0)


def test_a_model_that_answers_zero_everywhere_is_compared_without_dividing_by_it() -> None:
    zero = np.zeros((2, 3))
    assert compare(zero, zero)["relative"] == 0
    assert compare(zero + 1, zero)["snr_db"] == 999  # no power to compare with; relative tells it
    assert compare(zero + 1, zero)["relative"] > 1e9


def test_outputs_of_more_axes_are_compared_as_one_vector_an_example() -> None:
    ours, theirs = np.arange(12.0).reshape(2, 3, 2), np.ones((2, 3, 2))
    assert compare(ours, theirs) == compare(ours.reshape(2, 6), theirs.reshape(2, 6))


def test_a_device_that_takes_some_examples_is_compared_on_those_and_named(tmp_path: Path) -> None:
    torch = np.random.default_rng(0).normal(size=(30, 4))
    rows = dataset.chosen(30, 6)
    inputs = {
        "reference": folders.outputs(tmp_path / "torch", torch),
        "converted": folders.outputs(tmp_path / "float", torch),
        "candidate": folders.outputs(tmp_path / "int8", torch + 0.25),
        "device_converted": folders.outputs(tmp_path / "there", torch[rows[:3]] + 0.5, "emulated"),
        "device_candidate": folders.outputs(tmp_path / "there-int8", torch[rows] + 0.125, "emulated"),
    }
    found = folders.read(tiny.perform(Parity(), tmp_path / "out", inputs))
    assert (found["origin"]["fidelity"], found["device"]["origin"]["fidelity"]) == ("host", "emulated")
    assert [found[role]["n"] for role in ("converted", "candidate")] == [30, 30]
    assert [found["device"][role]["n"] for role in ("converted", "candidate")] == [3, 6]
    assert (found["converted"]["max_abs"], found["candidate"]["max_abs"]) == (0, pytest.approx(0.25))
    assert found["device"]["converted"]["max_abs"] == pytest.approx(0.5)
    assert found["device"]["candidate"]["max_abs"] == pytest.approx(0.125)


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
    found = folders.read(tiny.perform(Parity(), tmp_path / "out", inputs))
    assert found["converted"]["n"] == 400  # every held-out example
    assert found["converted"]["relative"] < 1e-4
    assert found["converted"]["agreement"] == 1.0
    assert 1e-4 < found["candidate"]["relative"] < 0.1
    assert 20 < found["candidate"]["snr_db"] < found["converted"]["snr_db"]
    assert found["origin"] == {"device": "local", "fidelity": "host", "runtimes": found["origin"]["runtimes"]}
    assert found["origin"]["runtimes"]["onnxruntime"]


@pytest.mark.parametrize("broken", ["reference", "converted", "candidate"])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_answers_that_are_no_numbers_are_an_error_and_not_evidence(tmp_path: Path, broken: str, value: float) -> None:
    inputs = {}
    for role in ("reference", "converted", "candidate"):
        answers = np.ones((4, 3))
        answers[2, 1] = value if role == broken else 1
        inputs[role] = folders.outputs(tmp_path / role, answers)
    with pytest.raises(StepError, match="answers NaN or infinite values on held-out examples, first on example 2"):
        tiny.perform(Parity(), tmp_path / "out", inputs)
    assert list((tmp_path / "out").iterdir()) == []


def test_of_values_that_are_no_scores_no_largest_is_compared(tmp_path: Path) -> None:
    roles = ("reference", "converted", "candidate")
    inputs = {role: folders.outputs(tmp_path / role, np.eye(3) + k / 8) for k, role in enumerate(roles)}
    found = folders.read(tiny.perform(Parity("regression"), tmp_path / "out", inputs))
    assert (found["converted"]["relative"], found["candidate"]["relative"]) == (1 / 8, 1 / 4)
    assert "agreement" not in found["converted"]
    verdict = ParityGate().judge(Gate("parity", "0.2"), {"parity": found})
    assert verdict.status == "pass"
    assert verdict.reason.startswith("float conversion is off by 1.2e-01, the shipped file by 2.5e-01 of the range at ")
