"""Losses over the heads of a model, and of inner features: the numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from edgebuild.nn.train.losses import attention, of_labels, of_teachers
from edgebuild.spec.signature import Head

NAN = float("nan")
KIND, PLACE = Head("kind", "classification", (0,)), Head("place", "regression", (2,), weight=0.5)
ANSWERS = (torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.full((2, 3, 3), NAN), torch.tensor([[1.0], [3.0]]))
LABELS = (torch.tensor([0, 1]), torch.tensor([[0.0], [0.0]]))


def test_losses_of_several_heads_are_summed_by_weight_and_an_output_without_a_head_counts_for_nothing() -> None:
    kind = of_labels([KIND], ANSWERS, LABELS[:1]).item()
    assert kind == pytest.approx((0.126928 + 0.313262) / 2, abs=1e-6)  # ln(1 + e⁻²), ln(1 + e⁻¹)
    assert of_labels([KIND, PLACE], ANSWERS, LABELS).item() == pytest.approx(kind + 0.5 * (1 + 9) / 2)


def test_every_head_learns_of_its_own_teachers_answer() -> None:
    taught = (ANSWERS[0], ANSWERS[1], torch.tensor([[2.0], [3.0]]))
    assert of_teachers([KIND, PLACE], "soft", ANSWERS, [ANSWERS], 4.0).item() == pytest.approx(0, abs=1e-7)
    assert of_teachers([KIND, PLACE], "soft", ANSWERS, [taught], 4.0).item() == pytest.approx(0.5 * 0.5)


def test_labels_that_are_missing_are_left_out_head_by_head() -> None:
    given = torch.tensor([[1.0, 2.0], [0.5, 0.0], [3.0, 1.0]], requires_grad=True)
    known, classes = torch.tensor([1, -1, 0]), [Head("output", "classification")]
    rows = given[[0, 2]]
    assert of_labels(classes, (given,), (known,)).item() == of_labels(classes, (rows,), (known[[0, 2]],)).item()
    none = of_labels(classes, (given,), (torch.tensor([-1, -1, -1]),))
    none.backward()  # type: ignore[no-untyped-call]
    assert (none.item(), given.grad is not None and given.grad.abs().sum().item()) == (0, 0)
    values = torch.tensor([[1.0, 2.0], [NAN, NAN], [1.0, 1.0]])
    assert of_labels([Head("output", "regression")], (given,), (values,)).item() == pytest.approx(4 / 4)


def test_attention_is_where_features_are_large_whatever_their_channels() -> None:
    """By hand: maps (1, 4)/√17 and (9, 0)/9; the mean of the two squares."""
    student = torch.tensor([[[[1.0, 2.0]]]])
    teacher = torch.tensor([[[[2.0, 0.0]], [[2.0, 0.0]], [[1.0, 0.0]]]])
    expected = ((1 / 17**0.5 - 1) ** 2 + (4 / 17**0.5) ** 2) / 2
    assert attention(student, teacher).item() == pytest.approx(expected, rel=1e-6)
    assert attention(teacher, 3 * teacher).item() == pytest.approx(0, abs=1e-12)
