"""AdaRound's variables against the paper's formulas, and the run of a model beside its rounded self."""

from __future__ import annotations

import pytest
import torch

from edgebuild.nn.graph import trace, walk
from edgebuild.nn.quantize import beside, fake_quant
from edgebuild.nn.quantize.rounding import Rounding
from tests.nn import nets

WEIGHT = torch.tensor([[1.27, 0.0137, -0.0162, 0.0], [-2.54, 0.0121, 0.011, 0.51]])


def test_at_first_every_weight_is_where_it_was() -> None:
    assert torch.allclose(Rounding(WEIGHT, 0, 8).soft(), WEIGHT, atol=1e-4)


def test_what_is_decided_is_next_to_the_weight_and_on_the_grid() -> None:
    rounding = Rounding(WEIGHT, 0, 8)
    assert torch.equal(rounding.hard(), rounding.nearest())
    assert torch.allclose(rounding.nearest(), fake_quant.on_grid(WEIGHT, 0), atol=1e-7)
    with torch.no_grad():
        rounding.share.fill_(9)  # up, all of them
    wanted = torch.tensor([[127, 2, -1, 0], [-127, 1, 1, 26]]) * torch.tensor([[0.01], [0.02]])
    assert torch.allclose(rounding.hard(), wanted, atol=1e-6)


def test_the_largest_of_each_channel_and_zeros_stay_so_the_grid_stays() -> None:
    rounding = Rounding(WEIGHT, 0, 8)
    for value in (-9.0, 9.0):
        with torch.no_grad():
            rounding.share.fill_(value)
        assert torch.allclose(fake_quant.step_size(rounding.hard(), 0), fake_quant.step_size(WEIGHT, 0), rtol=1e-6)
        assert rounding.hard()[0, 3] == 0


def test_the_term_for_decisions_is_that_of_the_paper() -> None:
    rounding = Rounding(torch.tensor([[127.0, 0.25, 0.5]]), 0, 8)
    assert float(rounding.undecided(0.1)) == 0
    assert float(rounding.undecided(1.0)) == pytest.approx((1 - 1) + (1 - 0.5**2) + 1, abs=1e-3)
    assert float(rounding.undecided(0.6)) == pytest.approx((1 - 0.5**11) + 1, abs=1e-2)


@pytest.mark.parametrize("name", nets.NETS)
def test_beside_itself_a_model_with_the_same_weights_computes_the_same(name: str) -> None:
    module, inputs, given = nets.build(name)
    graph, ends = trace(module, inputs), []

    def mend(layer: beside.Layer, both: beside.Both) -> torch.Tensor:
        ends.append((layer.end, both))
        return both.rounded

    beside.run(graph, given, lambda layer, plain, _: beside.weight(graph, layer), mend)
    plain = {}
    walk(graph, given, plain.setdefault)
    assert ends
    for node, both in ends:
        assert torch.equal(both.plain, both.rounded)
        assert torch.allclose(both.plain, plain[node], atol=1e-6)


def test_errors_of_earlier_layers_reach_later_ones_beside_alone() -> None:
    module, inputs, given = nets.build("convolutions")
    graph, worst = trace(module, inputs), []

    def choose(layer: beside.Layer, plain: torch.Tensor, arguments: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return beside.weight(graph, layer) * (2 if layer.name == "0" else 1)

    def mend(layer: beside.Layer, both: beside.Both) -> torch.Tensor:
        worst.append(float((both.plain - both.rounded).abs().max()))
        return both.rounded

    plain = module(*given)
    beside.run(graph, given, choose, mend)
    assert min(worst) > 1e-3
    assert torch.equal(module(*given), plain)
