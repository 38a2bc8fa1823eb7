"""A module in parts: cut where one tensor carries all on, each part without the memory of the others."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.graph import trace
from edgebuild.nn.quantize import fake_quant
from edgebuild.nn.quantize.folding import fold
from edgebuild.nn.train import stages
from edgebuild.spec.signature import TensorSpec


class Residual(nn.Module):
    """Blocks whose input is added to their answer, behind an input that is normalised."""

    def __init__(self, width: int = 8, blocks: int = 4) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)) for _ in range(blocks)
        )
        self.scale = nn.Parameter(torch.ones(1))
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x * self.scale)))
        for block in self.blocks:
            x = torch.relu(x + block(x))
        return self.head(x.mean((2, 3)))


class Dense(nn.Module):
    """The input goes on to the very end."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.c(torch.relu(self.b(torch.relu(self.a(x))))) + x


class Tied(nn.Module):
    """The last layer has the weight of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = (nn.Linear(4, 4) for _ in range(3))
        self.last.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.middle(self.first(x)))


EXAMPLE = (torch.zeros(1, 1, 6, 6),)


@pytest.mark.parametrize("count", [2, 3])
def test_parts_answer_as_the_whole_and_hold_equal_shares(count: int) -> None:
    module, x = Residual().eval(), torch.rand(5, 1, 6, 6)
    parts = stages.cut(module, EXAMPLE, count)
    expected, sizes, given = module(x), [], None
    names = [name for part in parts for name in part.names]
    assert sorted(names) == sorted(module.state_dict())
    for part in parts:
        fresh = Residual().eval()
        fresh.load_state_dict(module.state_dict())
        stages.drop(fresh, part)
        sizes.append(sum(each.numel() for each in fresh.parameters() if not each.is_meta))
        inputs = (x,) if part.enters is None else stages.shapes((x,))
        (given,) = stages.run(fresh, part, inputs, given)
    assert given is not None
    assert torch.equal(given, expected)
    assert max(sizes) < 1.5 * sum(sizes) / count


@pytest.mark.parametrize("learnt", [False, True])
def test_a_graph_that_rounds_values_is_cut_between_its_operators(learnt: bool) -> None:
    """As `qat` trains it: operators read weights themselves, and sub-modules only round."""
    inputs = (TensorSpec("x", (1, 6, 6)),)
    module = Residual().eval()
    fold(module, inputs)
    graph = trace(module, inputs)
    names = [node.name for node in graph.graph.nodes if node.op == "call_function" and "relu" in node.name]
    fake = fake_quant.learnt_scale(0.0, 6.0) if learnt else fake_quant.moving_average(0.0, 6.0, 0.1)
    fake_quant.insert(graph, {name: copy.deepcopy(fake) for name in names}, per_channel=True)
    first, second = stages.cut(graph, EXAMPLE, 2)
    assert first.leaves == second.enters is not None
    sizes = [sum(graph.get_parameter(name).numel() for name, _ in graph.named_parameters() if name in part.names)
             for part in (first, second)]  # fmt: skip
    assert max(sizes) < 0.75 * sum(sizes)


def test_what_crosses_is_known_before_anything_runs() -> None:
    module = Residual()
    parts = stages.cut(module, EXAMPLE, 2)
    (crossing,), (answers,) = stages.crossings(module, parts, (torch.empty(5, 1, 6, 6),))
    assert (crossing.shape, answers.shape) == ((5, 8, 6, 6), (5, 4))
    assert not any(each.is_meta for each in module.parameters())
    assert module.training


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (Dense(), "no place where one tensor carries all from a part to the next: .*meta"),
        (Tied(), "parts share a weight"),
        (nn.Linear(4, 4), "no place where one tensor carries all from a part to the next$"),
    ],
)
def test_a_module_that_cannot_be_cut_is_refused_with_the_reason_and_left_as_it_was(
    module: nn.Module, told: str
) -> None:
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(stages.CannotCutError, match=told):
        stages.cut(module, (torch.zeros(1, 4),), 2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
