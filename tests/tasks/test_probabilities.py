"""A classification whose model ends in a softmax, as those of Keras do, is trained and taught as by its logits."""

from __future__ import annotations

import pytest
import torch

from edgebuild.spec.registry import TASKS
from edgebuild.spec.task import Goal

TASK = TASKS.get("classification")()
LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.3, 4.0, -2.0]])
TEACHER = torch.tensor([[5.0, -3.0, 1.0], [-1.0, 3.0, 0.0]])
LABELS = torch.tensor([2, 1])


def test_the_loss_of_probabilities_is_that_of_their_logits() -> None:
    assert TASK.loss([LOGITS.softmax(1)], LABELS).item() == pytest.approx(TASK.loss([LOGITS], LABELS).item())


@pytest.mark.parametrize("goal", ["soft", "pseudo_labels"])
def test_a_teacher_of_probabilities_teaches_what_its_logits_would(goal: Goal) -> None:
    by_logits = TASK.distilled(goal, [LOGITS], [[TEACHER]], 4.0)
    by_probabilities = TASK.distilled(goal, [LOGITS], [[TEACHER.softmax(1)]], 4.0)
    assert by_probabilities.item() == pytest.approx(by_logits.item(), rel=1e-5)


def test_what_was_certain_stays_finite_and_learns() -> None:
    certain = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], requires_grad=True)
    TASK.loss([certain], LABELS).backward()
    assert torch.isfinite(certain.grad).all()


def test_scores_that_are_no_probabilities_stay_as_they_are() -> None:
    scores = torch.tensor([[0.2, 0.3, 0.1], [0.5, 0.4, 0.1]])
    expected = torch.nn.functional.cross_entropy(scores, LABELS)
    assert TASK.loss([scores], LABELS).item() == expected.item()
