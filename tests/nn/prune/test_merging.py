"""Merging: doubled channels are found and taken back without any change to the answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.prune import merging
from edgebuild.nn.prune.channels import Inventory, inventory
from edgebuild.nn.prune.units import Units
from edgebuild.spec.rows import Split


class Net(nn.Module):
    """A residual sum, a depthwise convolution and a flatten on the way from `first` and `beside` to `head`."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.beside, self.norm2 = nn.Conv2d(1, 6, 1), nn.BatchNorm2d(6)
        self.deep = nn.Conv2d(6, 6, 3, groups=6)
        self.head = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.sigmoid(self.norm1(self.first(x)) + self.norm2(self.beside(x)))
        return self.head(torch.relu(self.deep(x)).flatten(1))


DATA = Split((np.random.default_rng(0).normal(size=(96, 1, 4, 4)).astype(np.float32),), (np.arange(96) % 3,))


def net(twins: dict[int, int]) -> Net:
    """Random weights and statistics, where channel `key` is made and scaled as channel `value`."""
    torch.manual_seed(2)
    found = Net()
    for norm in (found.norm1, found.norm2):
        for value in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            assert value is not None
            value.uniform_(0.5, 2)
    for layer in (found.first, found.norm1, found.beside, found.norm2, found.deep):
        for name, value in layer.state_dict().items():
            if "tracked" not in name:
                for twin, original in twins.items():
                    value[twin] = value[original]
    return found.eval()


def stock(module: nn.Module, *shape: int) -> tuple[Inventory, Units]:
    found = inventory(module, (torch.zeros(1, *shape),), [], 1)
    (units,) = found.units
    return found, units


def signatures(module: nn.Module) -> Tensor:
    found, units = stock(module, 1, 4, 4)
    return merging.signatures(module, units, found.proven.dependencies.traced.notes.folds)


def test_twins_are_found_through_sums_norms_and_depthwise_kernels() -> None:
    found = merging.alike(signatures(net({4: 1, 5: 1, 3: 0})), 1.0)
    assert sorted((pair.kept, pair.gone) for pair in found) == [(0, 3), (1, 4), (1, 5)]
    assert [pair.cosine for pair in found] == pytest.approx([1, 1, 1])
    assert merging.alike(signatures(net({})), 1.0) == []


@pytest.mark.parametrize("layer", ["first", "norm1", "beside", "norm2", "deep"])
def test_twins_that_differ_in_one_layer_are_none(layer: str) -> None:
    module = net({3: 0})
    module.get_submodule(layer).weight.data[3] *= 1.5  # type: ignore[operator]
    assert merging.alike(signatures(module), 1.0) == []


def test_the_answers_are_kept_when_twins_are_merged() -> None:
    whole, merged = net({4: 1, 5: 1, 3: 0}), net({4: 1, 5: 1, 3: 0})
    found, units = stock(merged, 1, 4, 4)
    merging.merge(merged, found, [(units, merging.alike(signatures(merged), 1.0))], DATA)
    assert merged.first.out_channels == merged.deep.groups == 3
    assert merged.head.in_features == 12
    x = torch.randn(20, 1, 4, 4)
    assert torch.allclose(whole(x), merged(x), atol=1e-5)


def test_proportional_units_behind_a_relu_are_merged_in_proportion() -> None:
    torch.manual_seed(0)
    whole = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    whole[0].weight.data[2], whole[0].bias.data[2] = 2.5 * whole[0].weight.data[0], 2.5 * whole[0].bias.data[0]
    outgoing = whole[2].weight.detach().clone()
    x = torch.randn(64, 4)
    answers = whole(x).detach()
    found, units = stock(whole, 4)
    pairs = merging.alike(merging.signatures(whole, units, {}), 0.9999)
    assert [(pair.kept, pair.gone) for pair in pairs] == [(0, 2)]
    merging.merge(whole, found, [(units, pairs)], Split((x.numpy(),), (np.zeros(64, np.int64),)))
    assert torch.allclose(whole[2].weight[:, 0], outgoing[:, 0] + 2.5 * outgoing[:, 2], atol=1e-5)
    assert torch.allclose(whole(x), answers, atol=1e-5)


def test_cosine_is_that_of_weights_and_bias() -> None:
    rows = torch.tensor([[3.0, 4.0], [4.0, 3.0], [-3.0, -4.0]], dtype=torch.float64)
    assert [(p.kept, p.gone, p.cosine) for p in merging.alike(rows, 0.9)] == [(0, 1, pytest.approx(24 / 25))]
    assert merging.nearest(rows) == pytest.approx(24 / 25)


def test_nobody_is_merged_into_one_that_goes() -> None:
    angles = torch.tensor([0.0, 0.1, 0.21, 0.33], dtype=torch.float64)
    found = merging.alike(torch.stack([angles.cos(), angles.sin()], 1), float(torch.tensor(0.125).cos()))
    gone = {pair.gone for pair in found}
    assert gone
    assert not gone & {pair.kept for pair in found}


def test_layer_norm_attention_and_grouped_convolutions_are_left_alone() -> None:
    from tests.steps.techniques import nets

    torch.manual_seed(0)
    module: nn.Module = nets.Transformer().eval()
    found = inventory(module, (torch.zeros(1, 6, 8),), [], 1).units
    why = {units.name: merging.why_not(module, units) for units in found}
    assert why["blocks.0.inner"] is None
    assert why["blocks.0.attention"] == "its heads go in groups"
    assert why["embed"] == "LayerNorm treats its channels in a way that merging would change"
    module = nets.Depthwise().eval()
    found = inventory(module, (torch.zeros(1, 1, 8, 8),), [], 1).units
    assert {units.name: merging.why_not(module, units) for units in found}["grouped"] == "its channels go in groups"
