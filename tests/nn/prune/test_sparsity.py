"""Which weights go: worked out by hand, and as torch's own pruning has it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from edgebuild.nn.prune import sparsity
from edgebuild.spec.errors import UsageError


def parameters(**weights: Tensor) -> dict[str, nn.Parameter]:
    return {name: nn.Parameter(weight) for name, weight in weights.items()}


A, B = torch.tensor([[0.1, -4.0], [3.0, -0.2]]), torch.tensor([[-0.3, 0.05, 5.0, 0.0]])


def test_magnitude_is_the_absolute_value() -> None:
    found = sparsity.magnitude(parameters(a=A))
    assert torch.equal(found["a"], torch.tensor([[0.1, 4.0], [3.0, 0.2]]))


def test_taylor_is_weight_times_gradient() -> None:
    given = parameters(a=A)
    (given["a"] * torch.tensor([[10.0, 1.0], [0.0, -3.0]])).sum().backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(sparsity.taylor(given)["a"], torch.tensor([[1.0, 4.0], [0.0, 0.6]]))


def test_weights_that_no_gradient_reaches_are_refused() -> None:
    with pytest.raises(UsageError, match="criterion: the loss does not depend on 'a'"):
        sparsity.taylor(parameters(a=A))


def test_each_layer_loses_its_own_ratio() -> None:
    given = parameters(a=A, b=B)
    found = sparsity.least_of_each(sparsity.magnitude(given), given, {"a": 0.5, "b": 0.75})
    assert found["a"].tolist() == [[True, False], [False, True]]
    assert found["b"].tolist() == [[True, True, False, True]]


def test_all_layers_together_lose_the_least() -> None:
    given = parameters(a=A, b=B)
    found = sparsity.least_of_all(sparsity.magnitude(given), given, 0.5)  # 0, 0.05, 0.1, 0.2
    assert found["a"].tolist() == [[True, False], [False, True]]
    assert found["b"].tolist() == [[False, True, False, True]]


def test_a_threshold_takes_what_is_not_above_it() -> None:
    found = sparsity.below(0.2, parameters(a=A, b=B))
    assert found["a"].tolist() == [[True, False], [False, True]]
    assert found["b"].tolist() == [[False, True, False, True]]


@pytest.mark.parametrize("ratio", [0.1, 0.37, 0.5, 0.93])
def test_layer_and_global_magnitude_are_those_of_torchs_pruning(ratio: float) -> None:
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 8, 3), nn.Linear(7, 9)
    given = {"first": first.weight, "second": second.weight}
    scores = sparsity.magnitude(given)
    each = sparsity.least_of_each(scores, given, dict.fromkeys(given, ratio))
    both = sparsity.least_of_all(scores, given, ratio)
    for layer, name in ((first, "first"), (second, "second")):
        assert torch.equal(prune.L1Unstructured(ratio).compute_mask(layer.weight, torch.ones_like(layer.weight)) == 0,
                           each[name])  # fmt: skip
    prune.global_unstructured([(first, "weight"), (second, "weight")], prune.L1Unstructured, amount=ratio)  # type: ignore[no-untyped-call]
    assert torch.equal(first.weight_mask == 0, both["first"])
    assert torch.equal(second.weight_mask == 0, both["second"])


def test_what_is_zero_already_counts_and_stays() -> None:
    weight = torch.tensor([[0.0, 1.0, 2.0, 0.0]])
    scores = torch.tensor([[0.9, 0.1, 0.2, 0.8]])  # random scores know nothing of zeros
    assert sparsity.smallest(scores, weight, 3).tolist() == [[True, True, False, True]]


def test_random_scores_repeat_with_the_seed_and_take_any_weight() -> None:
    given = parameters(a=torch.rand(40, 50) + 1)

    def drawn() -> Tensor:
        torch.manual_seed(3)
        return sparsity.least_of_each(sparsity.random(given), given, {"a": 0.25})["a"]

    first = drawn()
    assert torch.equal(first, drawn())
    assert int(first.sum()) == 500
    rows = first.sum(1).float()
    assert rows.min() > 2  # 12.5 ± 3 of 50: no row is spared, none is emptied
    assert rows.max() < 28


def test_two_of_every_four_inputs_stay_of_matrices_and_of_kernels() -> None:
    row = torch.tensor([[0.1, 3.0, 0.2, 2.0, 5.0, 1.0, 1.5, 0.0]])
    assert sparsity.n_of_m(row, 2, 4).tolist() == [[True, False, True, False, False, True, False, True]]
    kernel = torch.randn(3, 8, 2, 2)
    gone = sparsity.n_of_m(kernel.abs(), 2, 4)
    assert gone.reshape(3, 2, 4, 4).sum(2).eq(2).all()  # of each four inputs, at every place of the kernel
    kept = kernel.abs().masked_fill(gone, torch.inf).reshape(3, 2, 4, 4).amin(2)
    lost = kernel.abs().masked_fill(~gone, 0).reshape(3, 2, 4, 4).amax(2)
    assert (kept > lost).all()


def test_a_layer_that_would_be_emptied_is_refused_and_nothing_is_changed() -> None:
    given = parameters(a=A.clone(), b=B.clone())
    with pytest.raises(UsageError, match="all 4 weights of 'a' would be removed"):
        sparsity.remove(
            given, {"b": torch.tensor([[True, True, False, False]]), "a": torch.ones(2, 2, dtype=torch.bool)}
        )
    assert torch.equal(given["b"], B)
    sparsity.remove(given, {"b": torch.tensor([[True, True, False, False]])})
    assert given["b"].tolist() == [[0, 0, 5, 0]]


def test_matrices_and_kernels_are_what_can_be_pruned() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.norm, self.conv = nn.Embedding(5, 4), nn.LayerNorm((4, 4)), nn.Conv1d(2, 3, 1)
            self.memory, self.look = nn.LSTM(4, 2), nn.MultiheadAttention(4, 2)
            self.tied, self.place = nn.Linear(4, 4), nn.Parameter(torch.zeros(3, 4))
            self.also = self.tied

    found = sparsity.matrices(Net())
    assert sorted(found) == [
        "conv.weight", "look.in_proj_weight", "look.out_proj.weight", "memory.weight_hh_l0", "memory.weight_ih_l0",
        "tied.weight",
    ]  # fmt: skip
