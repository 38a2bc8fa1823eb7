"""Norms that an exporter spelled out stay float, and with them their layers keep what they answer."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from torch import nn

from edgebuild.formats import _onnx_statistics
from edgebuild.formats.onnx import Onnx
from edgebuild.spec.quantization import Quantization


class Spelled(nn.Module):
    """A residual sum, a layer norm by the difference of squares, as JAX writes it, and a softmax in single steps."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.body, self.mid, self.head = (nn.Linear(16, 16) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = x + torch.relu(self.body(x))
        x = x + self.mid(x)
        mean = x.sum(-1, keepdim=True) / 16
        variance = (x * x).sum(-1, keepdim=True) / 16 - mean * mean
        x = self.head((x - mean) * (1 / torch.sqrt(torch.maximum(variance, torch.tensor(0.0)) + 1e-6)))
        raised = torch.exp(x - x.amax(-1, keepdim=True))
        return raised / raised.sum(-1, keepdim=True)


def test_what_roots_and_quotients_are_taken_of_stays_float() -> None:
    """Rows differ by a factor of a thousand: in 8 bits of the largest, small ones had no variance."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(8, 1, 12, 16)) * np.logspace(-2, 1, 12)[:, None]
    samples = [(row.astype("float32"),) for row in rows]
    module = Spelled().eval()
    file = Onnx().convert(module, (torch.zeros(1, 12, 16),))
    done = Onnx().quantize(file, Quantization("static"), samples)
    answers, right = (np.stack([one for (one,) in Onnx().run(each, samples)]) for each in (done, file))
    assert (answers.argmax(-1) == right.argmax(-1)).mean() > 0.8
    assert np.abs(answers - right).max() < 0.2


def test_a_chain_of_residual_sums_is_not_followed_to_its_beginning() -> None:
    file = onnx.load_from_string(Onnx().convert(Spelled().eval(), (torch.zeros(1, 12, 16),)))
    layers = [node.name for node in file.graph.node if node.op_type in ("MatMul", "Gemm")]
    kinds = {node.name: node.op_type for node in file.graph.node}
    exact = [kinds[name] for name in _onnx_statistics.exact(file, layers)]
    assert not {*layers} & {*exact}
    assert {"Sqrt", "Exp", "Div", "ReduceSum"} <= {*exact}
    assert exact.count("Relu") < 2
