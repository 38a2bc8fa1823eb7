"""Recurrent layers in int8 .tflite files, which have them written out step by step."""

from __future__ import annotations

import numpy as np

from edgebuild.spec.quantization import Quantization
from edgebuild.spec.registry import FORMATS


def test_steps_of_time_share_one_bias() -> None:
    """Each had its own, with a scale a channel: an LSTM's int8 file was larger than its float one."""
    import torch
    from ai_edge_litert.tools import flatbuffer_utils
    from torch import nn

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own, self.new = nn.Linear(32, 32), nn.Linear(4, 32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state = torch.zeros(1, 32)
            for step in range(10):
                own, new = self.own(state), self.new(x[:, step])
                state = torch.sigmoid(new) * torch.tanh(own + new)
            return state

    torch.manual_seed(0)
    made = FORMATS.get("tflite")()
    floating = made.convert(Recurrent().eval(), (torch.zeros(1, 10, 4),))
    drawn = np.random.default_rng(0).normal(0, 1, (24, 1, 10, 4)).astype(np.float32)
    samples = [(one,) for one in drawn]
    quantized = made.quantize(floating, Quantization("static"), samples[:16])
    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(quantized)).subgraphs[0]
    biases = {int(one.inputs[2]) for one in graph.operators if len(one.inputs) == 3 and one.inputs[2] >= 0}
    assert 0 < len(biases) <= 4
    pairs = zip(made.run(floating, samples[16:]), made.run(quantized, samples[16:]), strict=True)
    assert max(np.abs(left[0] - right[0]).max() for left, right in pairs) < 0.1
