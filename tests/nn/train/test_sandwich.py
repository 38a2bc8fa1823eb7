"""The whole learns by labels, the least slice and some others by labels and by what the whole answers to the batch."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebuild.nn.train import sandwich
from edgebuild.spec.signature import Head

HEADS = (Head("output", "classification"),)
ALPHA, HEAT = 0.25, 3.0


@dataclass
class First:
    """The slice of a linear layer that reads the first so many features; how often it was asked."""

    features: int
    asked: int = 0

    def answers(self, whole: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        self.asked += 1
        assert isinstance(whole, nn.Linear)
        return (functional.linear(inputs[0][:, : self.features], whole.weight[:, : self.features], whole.bias),)


@pytest.fixture
def batch() -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    torch.manual_seed(0)
    return (torch.randn(16, 6),), (torch.randint(0, 3, (16,)),)


def expected(whole: nn.Linear, x: Tensor, y: Tensor, features: int) -> Tensor:
    """α·CE + (1−α)·T²·KL of the whole's softened answers from a slice's (Hinton et al. 2015), no gradient in them."""
    (given,), goal = First(features).answers(whole, (x,)), whole(x).detach()
    soft = functional.log_softmax(given / HEAT, 1), functional.softmax(goal / HEAT, 1)
    taught = HEAT**2 * functional.kl_div(*soft, reduction="batchmean")
    return ALPHA * functional.cross_entropy(given, y) + (1 - ALPHA) * taught


def test_the_loss_and_its_gradient_are_those_of_the_sandwich(
    batch: tuple[tuple[Tensor, ...], tuple[Tensor, ...]],
) -> None:
    inputs, labels = batch
    whole = nn.Linear(6, 3)
    loss = sandwich.lesson(HEADS, First(2), [First(4)], 1, ALPHA, HEAT)
    value = loss(whole.train(), inputs, labels)
    by_hand = functional.cross_entropy(whole(inputs[0]), labels[0])
    by_hand = by_hand + expected(whole, inputs[0], labels[0], 2) + expected(whole, inputs[0], labels[0], 4)
    torch.testing.assert_close(value, by_hand)
    (given,), (wanted,) = (torch.autograd.grad(one, [whole.weight]) for one in (value, by_hand))
    torch.testing.assert_close(given, wanted)


def test_the_least_is_in_every_batch_and_others_are_drawn_as_the_generator_says(
    batch: tuple[tuple[Tensor, ...], tuple[Tensor, ...]],
) -> None:
    least, others, whole = First(1), [First(2), First(3), First(4)], nn.Linear(6, 3).train()
    loss = sandwich.lesson(HEADS, least, others, 2, ALPHA, HEAT)
    torch.manual_seed(1)
    values = [float(loss(whole, *batch)) for _ in range(20)]
    assert least.asked == 20
    assert sum(one.asked for one in others) == 40
    assert all(5 < one.asked < 20 for one in others)
    torch.manual_seed(1)
    assert [float(loss(whole, *batch)) for _ in range(20)] == values


def test_what_is_validated_is_the_whole(batch: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]) -> None:
    inputs, labels = batch
    least, whole = First(2), nn.Linear(6, 3).eval()
    value = sandwich.lesson(HEADS, least, [], 1, ALPHA, HEAT)(whole, inputs, labels)
    torch.testing.assert_close(value, functional.cross_entropy(whole(inputs[0]), labels[0]))
    assert least.asked == 0
