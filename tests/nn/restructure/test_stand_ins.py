"""Parts that a module's code asks for their class, attributes or weight stay, each with the reason; others do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebuild.nn.restructure import stand_ins
from edgebuild.nn.restructure.swaps import Swap
from tests.nn import nets

Code = Callable[[nets.Forward, Tensor], Tensor]
X = torch.zeros(1, 4)


def by_attribute(net: nets.Forward, x: Tensor) -> Tensor:
    y = net.first(x)
    return functional.layer_norm(net.second(net.free(y)), (net.second.out_features,))


def by_weight(net: nets.Forward, x: Tensor) -> Tensor:
    return net.second(net.free(net.first(x)).to(net.second.weight.dtype))


def by_class(net: nets.Forward, x: Tensor) -> Tensor:
    for layer in (net.first, net.free):
        x = layer(x)
    return net.second(x).relu() if isinstance(net.second, nn.Linear) else net.second(x)


def in_training(net: nets.Forward, x: Tensor) -> Tensor:
    y = functional.dropout(net.second(net.free(net.first(x))), 0.5, net.training)
    return y + net.second.weight.sum() if net.training else y


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (by_attribute, "does not run (AttributeError: 'Sequential' object has no attribute 'out_features')"),
        (by_weight, "does not run (AttributeError: 'Sequential' object has no attribute 'weight')"),
        (by_class, "answers otherwise, so its code asks for the class"),
        (in_training, "does not run in training mode (AttributeError: 'Sequential' object has no attribute 'weight')"),
    ],
)
def test_what_code_asks_of_a_layer_keeps_that_layer_alone(code: Code, reason: str) -> None:
    net = nets.Forward(code, first=nn.Linear(4, 8), free=nn.Linear(8, 8), second=nn.Linear(8, 4))
    chosen = {name: Swap(name, "low_rank", (1,)) for name in ("first", "free", "second")}
    before = [*net.modules()]
    assert stand_ins.unable(net, (X,), chosen) == {"second": f"with an nn.Sequential in its place the model {reason}"}
    assert [*net.modules()] == before


def test_what_is_the_same_but_for_chance_can_be_exchanged() -> None:
    """Answers that differ from run to run, or are no numbers, say nothing of the class."""
    state = {"runs": 0}

    def unsteady(net: nets.Forward, x: Tensor) -> Tensor:
        state["runs"] += 1
        return net.inner(x) * state["runs"] + torch.full((4,), float("nan"))

    net = nets.Forward(unsteady, inner=nn.Linear(4, 4))
    assert stand_ins.unable(net, (X,), {"inner": Swap("inner", "low_rank", (1,))}) == {}
    assert stand_ins.unable(net, (X,), {}) == {}


def test_a_network_that_no_layer_is_asked_in_runs_four_times() -> None:
    """Once as it is and once with all exchanged, in either mode."""
    runs = []

    def counted(net: nets.Forward, x: Tensor) -> Tensor:
        runs.append(net.training)
        return net.second(net.first(x))

    net = nets.Forward(counted, first=nn.Linear(4, 8), second=nn.Linear(8, 4))
    assert not stand_ins.unable(net, (X,), {name: Swap(name, "low_rank", (1,)) for name in ("first", "second")})
    assert runs == [False, True, False, True]
