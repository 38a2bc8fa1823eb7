"""Model files in real runtimes: they answer as the torch model does, in the declared shapes and order."""

from __future__ import annotations

import numpy as np
import pytest

from tests import runtimes, tiny

FORMATS = runtimes.formats()


@pytest.mark.parametrize("name", FORMATS)
def test_the_float_file_answers_as_torch_does(made: tiny.Made, name: str) -> None:
    wanted, given = runtimes.torch_answers(made), runtimes.file_answers(made, name)
    assert given.shape == wanted.shape == (100, 4)
    assert given.dtype == np.float32
    assert np.abs(given - wanted).max() < 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_two_inputs_takes_them_in_the_declared_order(pair: tiny.Made, name: str) -> None:
    wanted, given = runtimes.torch_answers(pair, count=64), runtimes.file_answers(pair, name, count=64)
    assert np.abs(given - wanted).max() < 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("artifact", ["onnx-int8", "onnx-float16", "tflite-int8", "tflite-float16"])
def test_techniques_work_on_files_of_two_inputs(pair: tiny.Made, artifact: str) -> None:
    wanted, given = runtimes.torch_answers(pair, count=64), runtimes.file_answers(pair, artifact, count=64)
    assert np.abs(given - wanted).mean() < 0.02 * np.abs(wanted).max()


@pytest.mark.parametrize("artifact", [*FORMATS, "onnx-int8", "tflite-int8"])
def test_files_of_whole_number_inputs_work(tokens: tiny.Made, artifact: str) -> None:
    wanted, given = runtimes.torch_answers(tokens, count=40), runtimes.file_answers(tokens, artifact, count=40)
    assert np.abs(given - wanted).mean() < (0.02 if "int8" in artifact else 1e-5) * np.abs(wanted).max()


@pytest.mark.parametrize("artifact", [*tiny.REPEATABLE[1:], *FORMATS])
def test_another_process_makes_the_same_bytes(made: tiny.Made, elsewhere: tiny.Made, artifact: str) -> None:
    assert made.file(artifact).read_bytes() == elsewhere.file(artifact).read_bytes()


@pytest.mark.parametrize("artifact", [*tiny.REPEATABLE[1:], *FORMATS])
def test_no_file_names_a_place_on_this_machine(made: tiny.Made, artifact: str) -> None:
    data = made.file(artifact).read_bytes()
    for place in (b"/tmp/", b"model.py", b"/root", b"site-packages", str(tiny.MODELS).encode(), b"python"):
        assert place not in data
