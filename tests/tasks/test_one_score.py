"""Of two classes the second's score may be all that a model answers; scores may be probabilities behind a sigmoid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from edgebuild.gates.auc import Auc
from edgebuild.gates.f1 import F1
from edgebuild.spec.signature import Head, Scores, TensorSpec
from edgebuild.tasks.classification import Classification
from edgebuild.tasks.multilabel import Multilabel
from edgebuild.tasks.segmentation import Segmentation
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


MAPS = (
    np.stack([np.array([[3.0, -1, -2], [0, 2, -4]]), np.array([[-3, 1, 2], [-1, -2, 4]])])[None]
    .astype("float32")
    .repeat(2, 2)
)
AREAS = np.array([[[0, 1, 1], [0, 0, 1]]]).repeat(2, 1)
ONE = MAPS[:, 1:]  # the second class's; what it has above 0 is its own


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    ("scores", "maps"),
    [(None, MAPS), (None, ONE), ("probabilities", 1 / (1 + np.exp(-ONE)))],
    ids=["all", "one", "share"],
)
def test_maps_lie_in_front_or_behind_and_one_chooses_between_two_classes(
    behind: bool, scores: Scores | None, maps: np.ndarray
) -> None:
    head = Head("y", "segmentation", labels=("road", "else"), scores=scores)
    answers = np.moveaxis(maps, 1, -1) if behind else maps
    task, output = Segmentation.of(head), TensorSpec("y", answers.shape[1:])
    task.check(head, [output])
    assert task.scored([answers]).tolist() == AREAS.tolist()
    assert task.errors([answers], AREAS).tolist() == [0]
    assert task.label_mistake(AREAS, [output]) is None
    assert task.classes_of(output) == 2
    assert task.by_itself(output) == (maps.shape[1] == 1)
    wanted = functional.cross_entropy(torch.from_numpy(MAPS), torch.from_numpy(AREAS))
    if maps.shape[1] == 1:
        wanted = functional.binary_cross_entropy_with_logits(
            torch.from_numpy(ONE[:, 0]), torch.from_numpy(AREAS).float()
        )
    assert float(task.loss([torch.from_numpy(answers)], torch.from_numpy(AREAS))) == pytest.approx(
        float(wanted), rel=1e-4
    )
    goal = task.distilled("pseudo_labels", [torch.from_numpy(answers)], [[torch.from_numpy(maps)]], 1.0)
    assert float(goal) == pytest.approx(float(wanted), rel=1e-4)
    shown = {"name": "y", "show": "areas", "labels": ["road", "else"], "scores": scores}
    assert run.shown(shown, [answers[0]], [], 2) == "road (50.0 % of the area), else (50.0 % of the area)"


@pytest.mark.parametrize(
    ("shape", "classes"),
    [((21, 8, 8), 21), ((8, 8, 21), 21), ((3, 4, 5), 3), ((6, 4, 5), 5), ((1, 4, 4), 2), ((4, 5, 1), 2)],
)
def test_how_many_classes_maps_are_of_is_seen_by_their_shape(shape: tuple[int, ...], classes: int) -> None:
    assert Segmentation.classes_of(TensorSpec("y", shape)) == classes


def test_maps_of_other_classes_are_refused() -> None:
    head = Head("y", "segmentation", labels=("a", "b", "c"))
    with pytest.raises(ValueError, match=r"not \[3, H, W\] or \[H, W, 3\]"):
        Segmentation.of(head).check(head, [TensorSpec("y", (4, 5, 6))])
