"""Which values have a range: none that an integer file leaves as they are, whatever reads them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgebuild.nn.graph import trace
from edgebuild.nn.quantize import points
from edgebuild.spec.signature import TensorSpec
from tests.nn import nets

INPUTS = (TensorSpec("x", (4,)), TensorSpec("beside", (4,)))


def test_an_input_that_nobody_reads_is_no_hindrance() -> None:
    class Net(nn.Linear):
        def forward(self, x: Tensor, beside: Tensor) -> Tensor:
            return super().forward(x)

    seen = points.observe(trace(Net(4, 4), INPUTS), [(torch.ones(2, 4), torch.ones(2, 4))])
    assert {"x", "linear"} <= {*seen}


def test_values_in_half_the_width_keep_it() -> None:
    def code(net: nets.Forward, x: Tensor) -> Tensor:
        return net.inner((net.inner(x).bfloat16() * 0.5).half().float())

    graph = trace(nets.Forward(code, inner=nn.Linear(4, 4)), INPUTS[:1])
    seen = points.observe(graph, [(torch.ones(2, 4),)])
    assert [*seen] == ["x", "linear", "to_2", "linear_1"]
