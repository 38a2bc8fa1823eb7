"""What a float file computes inside, by the names that its quantizer knows."""

from __future__ import annotations

import numpy as np
import pytest

from edgebuild.spec import dataset
from edgebuild.spec.registry import FORMATS
from tests import runtimes, tiny


@pytest.mark.parametrize("format_name", ["onnx", "tflite"])
def test_all_floats_of_one_run_are_told_from_input_to_output(made: tiny.Made, format_name: str) -> None:
    test = dataset.read(made["data"], "test")
    sample = tuple(np.array(values[:1]) for values in test.inputs)
    (given,) = FORMATS.get(format_name)().activations(made.file(format_name).read_bytes(), [sample])
    assert {value.dtype for value in given.values()} == {np.dtype("float32")}
    last = [value for value in given.values() if value.shape == (1, 4)]
    assert any(np.allclose(value, runtimes.torch_answers(made, count=1), atol=1e-4) for value in last)
    first = sample[0] if format_name == "onnx" else sample[0].transpose(0, 2, 3, 1)
    assert any(np.array_equal(value, first) for value in given.values())
    assert len(given) > 12  # nine layers, the input, and what stands between
