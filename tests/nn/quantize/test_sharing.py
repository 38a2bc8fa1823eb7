"""Shared values against another library's k-means, by hand, and by the sum of gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.cluster.vq import kmeans2
from torch import nn

from edgebuild.nn.graph import trace
from edgebuild.nn.quantize import sharing
from edgebuild.spec.signature import TensorSpec
from edgebuild.steps.techniques.log2 import powers_of_two
from tests.nn import nets


def test_clusters_are_those_of_lloyds_rule_from_evenly_spaced_centroids() -> None:
    weight = torch.randn(40, 25, generator=torch.Generator().manual_seed(0))
    values, places = sharing.cluster(weight, 8, False)
    first = np.linspace(float(weight.min()), float(weight.max()), 8)[:, None]
    wanted, labels = kmeans2(weight.reshape(-1, 1).double().numpy(), first, iter=200, minit="matrix")
    assert values.tolist() == pytest.approx(wanted.ravel().tolist(), abs=1e-3)
    assert (places.numpy().ravel() == labels).mean() > 0.995


def test_by_hand() -> None:
    values, places = sharing.cluster(torch.tensor([[0.0, 1, 10], [2, 11, 12]]), 2, False)
    assert values.tolist() == [1, 11]
    assert places.tolist() == [[0, 0, 1], [0, 1, 1]]


def test_zeros_of_pruned_weights_have_a_place_of_their_own() -> None:
    weight = torch.tensor([0.0, 0, 0, 0.1, 0.2, 5, 6])
    values, places = sharing.cluster(weight, 3, True)
    assert values.tolist() == pytest.approx([0, 0.15, 5.5])
    assert places.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_few_values_stay_as_they_are() -> None:
    weight = torch.tensor([[0.3, -1], [0.3, 2]])
    values, places = sharing.cluster(weight, 8, False)
    assert torch.equal(values[places], weight)


def test_the_gradient_of_a_value_is_the_sum_of_its_weights_gradients() -> None:
    module = nets.Forward(lambda net, x: net.inner(x), inner=nn.Linear(3, 1, bias=False))
    graph = trace(module, (TensorSpec("x", (3,)),))
    shared = {"inner.weight": (torch.tensor([0.0, 2.0]), torch.tensor([[1, 0, 1]]))}
    tuned = sharing.trainable(graph, shared, {"inner.weight"})
    given = tuned(torch.tensor([[1.0, 10, 100]]))
    assert given.item() == 202
    given.backward()
    (scaled,) = tuned.scaled
    assert scaled.grad.tolist() == [0, pytest.approx(101 / 2**0.5)]  # the first stands for pruned weights
    with torch.no_grad():
        scaled -= 0.1 * scaled.grad
    assert tuned.current()[0].tolist() == [0, pytest.approx(2 - 0.1 * (1 + 100) / 2)]


@pytest.mark.parametrize(
    ("bits", "wanted"), [(4, [1, -0.5, 0.25, 0, 0.03125, 2]), (3, [1, -0.5, 0, 0, 0, 2]), (2, [0, 0, 0, 0, 0, 2])]
)
def test_powers_of_two_by_hand(bits: int, wanted: list[float]) -> None:
    """log₂ of 1.4 is 0.49, of 0.36 is −1.47, of 0.2 is −2.3; 2^(bits−1) − 1 exponents from that of 2.8 = 2^1.49."""
    weight = torch.tensor([1.4, -0.36 * 2**0.5, 0.2, 0.0, 0.03, 2.8])
    assert powers_of_two(weight, bits).tolist() == wanted
    assert not powers_of_two(torch.zeros(3), bits).any()


def test_powers_of_two_round_exactly_on_both_sides_of_the_geometric_middle() -> None:
    """By squares of fractions, for every float32 near √2·2^k: a logarithm in float32 errs there."""
    from fractions import Fraction

    middles = torch.tensor([2.0**k * 2**0.5 for k in range(-6, 7)]).view(torch.int32)
    near = torch.cat([(middles + step).view(torch.float32) for step in range(-4, 5)])
    weight = torch.cat([near, -near])
    for value, rounded in zip(weight.tolist(), powers_of_two(weight, 8).tolist(), strict=True):
        down, up = sorted((Fraction(2) ** k for k in range(-8, 9)), key=lambda p: abs(p - abs(Fraction(value))))[:2]
        low, high = min(down, up), max(down, up)
        assert abs(Fraction(rounded)) == (high if Fraction(value) ** 2 > low * high else low)
        assert (rounded < 0) == (value < 0)
