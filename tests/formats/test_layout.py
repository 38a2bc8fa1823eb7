"""Pictures go into a TFLite file and come out of it with the channels last, where that saves a transpose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgebuild.formats import _tflite_graph
from edgebuild.formats.tflite import Tflite
from edgebuild.spec.quantization import Quantization
from tests import tiny
from tests.formats import nets


class Beside(nn.Module):
    """A picture that is convolved, and a block of scores [1, heads, T, T] that no convolution sees."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 1, 1)

    def forward(self, picture: Any, scores: Any) -> Any:
        """[1, 3, 6, 5] and [1, 2, 4, 4] -> [1, 4, 6, 5] and [1, 2, 4, 4]."""
        return self.conv(picture).relu(), scores.softmax(-1) @ scores


@pytest.fixture(scope="module")
def beside() -> tuple[nn.Module, bytes, tuple[np.ndarray, ...]]:
    """The net, its file, and an example."""
    torch.manual_seed(3)
    net = Beside().eval()
    example = torch.randn(1, 3, 6, 5), torch.randn(1, 2, 4, 4)
    return net, Tflite().convert(net, example), tuple(value.numpy() for value in example)


def kinds(model: bytes) -> list[str]:
    return [operator.kind for operator in _tflite_graph.operators(model)]


def test_a_picture_needs_no_transpose(made: tiny.Made) -> None:
    model = made.file("tflite").read_bytes()
    assert Tflite().layouts_of(model) == (("nhwc",), (None,))
    assert kinds(model)[0] == "DEPTHWISE_CONV_2D"  # a convolution of one channel
    (given,) = _tflite_graph.ends(model)[0]
    assert not any("to_channel_last_io" in name for op in _tflite_graph.operators(model) for name in op.inputs)
    assert given == "serving_default_args_0"


def test_only_what_a_transpose_is_saved_for_is_laid_out_anew(beside: Any) -> None:
    net, model, example = beside
    assert Tflite().layouts_of(model) == (("nhwc", None), ("nhwc", None))
    assert "TRANSPOSE" not in kinds(model)
    wanted = net(*map(torch.from_numpy, example))
    for answer, expected in zip(next(Tflite().run(model, [example])), wanted, strict=True):
        np.testing.assert_allclose(answer, expected.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_the_option_keeps_pytorchs_order() -> None:
    net, sample = nets.net("residual"), nets.samples("residual", 1)[0]
    model = Tflite().convert(net, (torch.from_numpy(sample[0]),), "nchw")
    assert Tflite().layouts_of(model) == ((), ())
    assert kinds(model)[0] == "TRANSPOSE"
    last = nets.file("residual", "tflite")
    assert kinds(last) == kinds(model)[1:]
    np.testing.assert_allclose(next(Tflite().run(last, [sample]))[0], next(Tflite().run(model, [sample]))[0], atol=1e-5)


@pytest.mark.parametrize(
    "how",
    [
        Quantization("static"),
        Quantization("static", borders="int8"),
        Quantization("dynamic"),
        Quantization("weights_only"),
        Quantization("float16", weights="float16"),
    ],
)
def test_the_layout_is_in_every_quantized_file(how: Quantization) -> None:
    given = nets.samples("residual", 8)
    done = Tflite().quantize(nets.file("residual", "tflite"), how, given if how.technique == "static" else ())
    assert Tflite().layouts_of(done) == (("nhwc",), (None,))
    distance = nets.distance(nets.torch_answers("residual", given), nets.answers("tflite", done, given))
    assert distance < 0.2
