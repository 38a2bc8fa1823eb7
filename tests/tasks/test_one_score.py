"""Of two classes the second's score may be all that a model answers; scores may be probabilities behind a sigmoid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from edgebuild.gates.auc import Auc
from edgebuild.gates.f1 import F1
from edgebuild.spec.signature import Head, TensorSpec
from edgebuild.tasks.classification import Classification
from edgebuild.tasks.multilabel import Multilabel
from edgebuild.travels import run

LOGITS = np.array([[-2.0], [0.3], [4.0], [-0.1]], "float32")
SHARES = (1 / (1 + np.exp(-LOGITS))).astype("float32")
LABELS = np.array([0, 1, 1, 1])
PAIR = ("cat", "dog")
LOGIT, SHARE = (
    Head("y", "classification", labels=PAIR),
    Head("y", "classification", labels=PAIR, scores="probabilities"),
)


@pytest.mark.parametrize(("head", "answers"), [(LOGIT, LOGITS), (SHARE, SHARES)])
def test_one_score_chooses_between_two_classes(head: Head, answers: np.ndarray) -> None:
    task = Classification.of(head)
    task.check(head, [TensorSpec("y", (1,))])
    assert task.choices([answers]).tolist() == [0, 1, 1, 0]
    assert task.hits([answers], LABELS).tolist() == [True, True, True, False]
    assert task.label_mistake(LABELS, [TensorSpec("y", (1,))]) is None
    assert task.classes_of(TensorSpec("y", (1,))) == 2
    scores = task.scored([answers])
    assert Auc.score(scores, LABELS)(np.ones(4)) == 1
    assert F1.score(scores, LABELS)(np.ones(4)) == pytest.approx((2 / 3 + 4 / 5) / 2)


@pytest.mark.parametrize(("head", "answers"), [(LOGIT, LOGITS), (SHARE, SHARES)])
def test_what_is_learnt_from_one_score_is_binary_cross_entropy(head: Head, answers: np.ndarray) -> None:
    loss = Classification.of(head).loss([torch.from_numpy(answers)], torch.from_numpy(LABELS))
    wanted = functional.binary_cross_entropy(torch.from_numpy(SHARES[:, 0]), torch.from_numpy(LABELS).float())
    assert float(loss) == pytest.approx(float(wanted), rel=1e-4)


def test_one_score_is_for_two_classes() -> None:
    head = Head("y", "classification", labels=("a", "b", "c"))
    with pytest.raises(ValueError, match="3 labels are named"):
        Classification.of(head).check(head, [TensorSpec("y", (1,))])


def test_probabilities_of_several_classes_are_there_above_a_half() -> None:
    head = Head("y", "multilabel", labels=("a", "b", "c"), scores="probabilities")
    task, labels = Multilabel.of(head), np.array([[1, 0, 0], [0, 1, 1]], "float32")
    answers = np.array([[0.9, 0.2, 0.4], [0.1, 0.8, 0.3]], "float32")
    assert task.errors([answers], labels).tolist() == pytest.approx([0, 1 / 3])
    assert F1.score(task.scored([answers]), labels)(np.ones(2)) == pytest.approx(2 / 3)
    loss = task.loss([torch.from_numpy(answers)], torch.from_numpy(labels))
    wanted = functional.binary_cross_entropy(torch.from_numpy(answers), torch.from_numpy(labels))
    assert float(loss) == pytest.approx(float(wanted), rel=1e-4)


@pytest.mark.parametrize(("how", "score"), [("probabilities", 0.9), (None, np.log(9.0))])
def test_run_py_shows_both_classes_and_what_is_there(how: str | None, score: float) -> None:
    head = {"name": "y", "labels": ["cat", "dog"]} | ({"scores": how} if how else {})
    assert run.shown(head | {"show": "ranked"}, [np.array([score])], [], 2) == "dog (90.0 %), cat (10.0 %)"
    both = [np.array([score, -score if how is None else 1 - score])]
    assert run.shown(head | {"show": "several"}, both, [], 2) == "cat (90.0 %)"
