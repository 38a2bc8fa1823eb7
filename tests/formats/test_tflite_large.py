"""Weights of more than 32 MiB."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgebuild.formats._tflite_large import in_pieces
from edgebuild.spec.quantization import Quantization
from edgebuild.spec.registry import FORMATS
from tests.formats import lite

Array = np.ndarray[Any, Any]
VALUES = np.random.default_rng(3).standard_normal((8, 3, 3, 1024)).astype(np.float32) / 50
EXAMPLE = np.random.default_rng(4).standard_normal((1, 3, 3, 1024)).astype(np.float32)


def test_a_convolution_of_more_than_32_mib_is_quantized_as_a_small_one_is() -> None:
    """Its channels are those of a small one again and again, and so are its answers."""
    small, large = answer(VALUES), answer(np.tile(VALUES, (128, 1, 1, 1)))
    assert small.std() > 0.5
    np.testing.assert_array_equal(large.reshape(128, 8), np.tile(small.reshape(8), (128, 1)))


def answer(weights: Array) -> Array:
    """Of a convolution with these weights that was quantized to int8."""
    from ai_edge_litert.interpreter import Interpreter

    channels = len(weights)
    constants = {1: weights, 2: np.zeros(channels, np.float32)}
    strides = {"padding": 1, "strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    shapes = [EXAMPLE.shape], [(1, 1, 1, channels)]
    floating = lite.file("CONV_2D", *shapes, constants, options="Conv2DOptions", **strides)
    model = FORMATS.get("tflite")().quantize(floating, Quantization("static"), [(EXAMPLE,)])
    assert len(model) < weights.size * 1.5 + 20000
    runtime = Interpreter(model_content=model, num_threads=1)
    runtime.allocate_tensors()
    runtime.set_tensor(runtime.get_input_details()[0]["index"], EXAMPLE)
    runtime.invoke()
    made: Array = runtime.get_tensor(runtime.get_output_details()[0]["index"])
    return made


def test_the_quantizer_is_as_it_was_afterwards() -> None:
    from ai_edge_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor as quantizer

    before = quantizer.uniform_quantize
    with pytest.raises(KeyError), in_pieces():
        raise KeyError
    assert quantizer.uniform_quantize is before
