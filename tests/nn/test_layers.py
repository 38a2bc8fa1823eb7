"""Finding the layers that make a module's outputs, whatever stands behind them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.layers import output_layers


class Net(nn.Module):
    """Three layers and a way to end."""

    def __init__(self, end: Callable[[Net, Tensor], object]) -> None:
        super().__init__()
        self.first, self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 3)
        self.norm, self.relu, self.end = nn.BatchNorm1d(3), nn.ReLU(inplace=True), end

    def forward(self, x: Tensor) -> object:
        return self.end(self, torch.relu(self.first(x)))


ENDS: dict[str, tuple[Callable[[Net, Tensor], object], set[str]]] = {
    "as it is": (lambda n, x: n.a(x), {"a"}),
    "softmax": (lambda n, x: torch.log_softmax(n.a(x), 1), {"a"}),
    "reshape": (lambda n, x: n.a(x).reshape(-1, 3, 1).flatten(1), {"a"}),
    "norm and ReLU in place": (lambda n, x: n.relu(n.norm(n.a(x))), {"a"}),
    "sum of two heads": (lambda n, x: n.a(x) + n.b(x), {"a", "b"}),
    "two outputs": (lambda n, x: (n.a(x), n.b(x)), {"a", "b"}),
    "through the input's own layer": (lambda n, x: x, {"first"}),
    "scaled": (lambda n, x: n.a(x) * 2 + 1, {"a"}),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_last_layers_on_every_way_to_an_output_are_found(end: str) -> None:
    function, wanted = ENDS[end]
    net = Net(function).eval()
    names = {layer: name for name, layer in net.named_modules()}
    assert {names[layer] for layer in output_layers(net, (torch.zeros(2, 4),))} == wanted


def test_no_hook_is_left_behind() -> None:
    net = Net(ENDS["softmax"][0]).eval()
    output_layers(net, (torch.zeros(2, 4),))
    assert not any(layer._forward_hooks for layer in net.modules())
