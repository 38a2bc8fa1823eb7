"""Losses of the tasks: the numbers of the formulas, worked out here with plain numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgebuild.nn.train.losses import of_labels, of_teachers
from edgebuild.spec.errors import UsageError
from edgebuild.spec.registry import TASKS
from edgebuild.spec.signature import Head

STUDENT = [[1.0, -0.5, 2.0], [0.2, 0.1, -1.0]]
TEACHER = [[2.0, 0.0, 1.0], [-1.0, 3.0, 0.5]]
LABELS = [2, 1]


def softmax(logits: list[list[float]], temperature: float) -> np.ndarray:
    raised = np.exp(np.array(logits) / temperature)
    return np.asarray(raised / raised.sum(1, keepdims=True))


def by_hand(alpha: float, temperature: float) -> float:
    hard = -np.mean([np.log(softmax(STUDENT, 1)[row, label]) for row, label in enumerate(LABELS)])
    p, q = softmax(TEACHER, temperature), softmax(STUDENT, temperature)
    soft = np.mean((p * np.log(p / q)).sum(1))
    return float(alpha * hard + (1 - alpha) * temperature**2 * soft)


def of_task(task: str, smoothing: float = 0.0) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    return lambda given, labels: TASKS.get(task)().loss([given], labels, smoothing)


def distillation(
    student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, alpha: float, temperature: float
) -> torch.Tensor:
    heads = [Head("output", "classification")]
    soft = of_teachers(heads, "soft", (student,), [(teacher,)], temperature)
    return alpha * of_labels(heads, (student,), (labels,)) + (1 - alpha) * soft


def loss(alpha: float, temperature: float, student: torch.Tensor | None = None) -> torch.Tensor:
    given = torch.tensor(STUDENT, dtype=torch.float64) if student is None else student
    return distillation(given, torch.tensor(TEACHER, dtype=torch.float64), torch.tensor(LABELS), alpha, temperature)


@pytest.mark.parametrize(("alpha", "temperature"), [(0, 1), (1, 4), (0.1, 4), (0.5, 2), (0.9, 0.5), (0, 20)])
def test_it_is_the_published_formula(alpha: float, temperature: float) -> None:
    assert loss(alpha, temperature).item() == pytest.approx(by_hand(alpha, temperature), rel=1e-12)


def test_the_hard_term_written_out() -> None:
    first = 0.37153903  # -ln(e² / (e + e^-½ + e²)) = ln(1 + e^-1 + e^-2.5)
    second = 0.89119526  # -ln(e^.1 / (e^.2 + e^.1 + e^-1)) = ln(1 + e^.1 + e^-1.1)
    assert loss(1, 3).item() == pytest.approx((first + second) / 2, abs=1e-8)


def test_a_student_that_answers_as_its_teacher_has_no_soft_loss() -> None:
    same = torch.tensor(TEACHER, dtype=torch.float64)
    assert loss(0, 4, same).item() == pytest.approx(0, abs=1e-15)


def test_gradients_of_the_soft_term_keep_their_size_as_the_temperature_rises() -> None:
    def size(temperature: float) -> float:
        student = torch.tensor(STUDENT, dtype=torch.float64, requires_grad=True)
        loss(0, temperature, student).backward()  # type: ignore[no-untyped-call]
        assert student.grad is not None
        return float(student.grad.norm())

    # For high T the gradient is (z − v) / (N·C) of centred logits, whatever T is (Hinton et al. 2015, equation 4).
    z, v = (np.array(x) - np.mean(x, axis=1, keepdims=True) for x in (STUDENT, TEACHER))
    limit = float(np.linalg.norm(z - v) / (2 * 3))
    assert size(100) == pytest.approx(limit, rel=0.02)
    assert size(200) == pytest.approx(size(100), rel=0.01)


def test_a_teacher_with_other_classes_is_refused() -> None:
    with pytest.raises(UsageError, match="the teacher's output is \\[2, 4\\], the model's \\[2, 3\\]"):
        distillation(torch.zeros(2, 3), torch.zeros(2, 4), torch.tensor(LABELS), 0.5, 2)


def test_the_loss_of_a_classification_is_smoothed_cross_entropy() -> None:
    given, labels = torch.tensor(STUDENT, dtype=torch.float64), torch.tensor(LABELS)
    logs = np.log(softmax(STUDENT, 1))
    hard, even = -logs[[0, 1], LABELS].mean(), -logs.mean()
    assert of_task("classification")(given, labels).item() == pytest.approx(hard, rel=1e-12)
    assert of_task("classification", 0.3)(given, labels).item() == pytest.approx(0.7 * hard + 0.3 * even, rel=1e-12)


def test_the_loss_of_a_regression_is_the_mean_of_all_squares() -> None:
    loss = of_task("regression")(torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([[0.0, 4.0], [0.0, 0.0]]))
    assert loss.item() == (1 + 4 + 0 + 1) / 4


def test_the_loss_of_an_embedding_is_one_minus_the_cosine() -> None:
    loss = of_task("embedding")(torch.tensor([[2.0, 0.0], [0.0, -3.0]]), torch.tensor([[5.0, 0.0], [4.0, 4.0]]))
    assert loss.item() == pytest.approx((0 + 1 + 0.5**0.5) / 2)


SECOND = [[0.5, 1.5, -2.0], [0.0, 0.3, 0.9]]


def goal(kind: str, *teachers: list[list[float]], task: str = "classification", temperature: float = 2.0) -> float:
    tensors = [torch.tensor(values, dtype=torch.float64) for values in teachers]
    student = torch.tensor(STUDENT, dtype=torch.float64)
    return float(TASKS.get(task)().distilled(kind, [student], [[one] for one in tensors], temperature))


def test_the_logits_of_a_teacher_are_a_regression_target() -> None:
    """By hand: (1 + 0.25 + 1 + 1.44 + 8.41 + 2.25) / 6."""
    assert goal("logits", TEACHER) == pytest.approx(14.35 / 6)


def test_a_pseudo_label_is_the_teachers_first_choice() -> None:
    assert goal("pseudo_labels", TEACHER) == pytest.approx(
        -np.mean([np.log(softmax(STUDENT, 1)[0, 0]), np.log(softmax(STUDENT, 1)[1, 1])])
    )


def test_several_teachers_are_one_with_their_mean_probabilities() -> None:
    mean, given = (softmax(TEACHER, 2) + softmax(SECOND, 2)) / 2, softmax(STUDENT, 2)
    assert goal("soft", TEACHER, SECOND) == pytest.approx(4 * np.mean((mean * np.log(mean / given)).sum(1)))
    assert goal("soft", TEACHER, TEACHER) == pytest.approx(goal("soft", TEACHER))
    assert goal("logits", TEACHER, SECOND) == pytest.approx(
        np.mean((np.array(STUDENT) - (np.array(TEACHER) + np.array(SECOND)) / 2) ** 2)
    )


def test_without_classes_the_soft_goal_is_the_tasks_own_loss() -> None:
    squares = np.mean((np.array(STUDENT) - np.array(TEACHER)) ** 2)
    assert goal("soft", TEACHER, task="regression") == pytest.approx(squares)
    assert 0 < goal("soft", TEACHER, task="embedding") < 2
