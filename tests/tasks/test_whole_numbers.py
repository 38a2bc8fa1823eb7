"""Answers that are whole numbers are judged as what they are: a class by equality, a value by its distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from edgebuild.gates.agreement import Agreement as Gate
from edgebuild.gates.miou import Miou
from edgebuild.spec.errors import UsageError
from edgebuild.spec.registry import TASKS
from edgebuild.spec.signature import Head, TensorSpec
from edgebuild.steps.evidence.parity import compare

LABELS = ("a", "b", "c")


def task(name: str, *labels: str) -> Any:
    return TASKS.get(name).of(Head("y", name, labels=labels))


@pytest.mark.parametrize("shape", [(), (1,)])
def test_the_number_of_a_class_is_an_answer(shape: tuple[int, ...]) -> None:
    kind, output = task("classification", *LABELS), TensorSpec("y", shape, "int64")
    kind.check(Head("y", "classification", labels=LABELS), [output])
    said, labels = np.array([0, 2, 1, 1]).reshape(4, *shape), np.array([0, 1, 1, 2])
    assert kind.hits([said], labels).tolist() == [True, False, True, False]
    assert kind.scored([said]).argmax(1).tolist() == [0, 2, 1, 1]
    assert kind.label_mistake(labels, [output]) is None
    assert "declares 3 classes" in kind.label_mistake(np.array([3]), [output])


def test_scores_in_whole_numbers_are_still_no_class() -> None:
    with pytest.raises(ValueError, match="output 'y' is int64"):
        task("classification", *LABELS).check(Head("y", "", labels=LABELS), [TensorSpec("y", (3,), "int64")])


@pytest.mark.parametrize("shape", [(2, 2), (1, 2, 2), (2, 2, 1)])
def test_a_map_of_classes_is_a_segmentation(shape: tuple[int, ...]) -> None:
    kind, output = task("segmentation", *LABELS), TensorSpec("y", shape, "int32")
    kind.check(Head("y", "segmentation", labels=LABELS), [output])
    said, labels = np.array([[[0, 1], [2, 2]]], np.int32), np.array([[[0, 1], [2, 255]]])
    assert kind.label_mistake(labels, [output]) is None
    assert kind.errors([said.reshape(1, *shape)], labels).tolist() == [0]
    value = Miou.score(kind.scored([said.reshape(1, *shape)]), labels)
    assert value(np.ones(1)) == 1
    assert kind.errors([1 - said.reshape(1, *shape) // 2], labels).tolist() == [pytest.approx(2 / 3)]


@pytest.mark.parametrize(("name", "labels"), [("classification", LABELS), ("agreement", ()), ("regression", ())])
def test_nothing_is_learnt_through_whole_numbers(name: str, labels: tuple[str, ...]) -> None:
    kind, numbers = task(name, *labels), torch.zeros(2, dtype=torch.int64)
    for call in (lambda: kind.loss([numbers], numbers), lambda: kind.distilled("soft", [numbers], [[numbers]], 1.0)):
        with pytest.raises(UsageError, match="the model answers int64, and nothing is learnt through that"):
            call()


@pytest.mark.parametrize(
    ("dtype", "agree"), [("int64", 0.5), ("int32", 0.5), ("bool", 0.5), ("uint8", 0.995), ("float32", 0.995)]
)
def test_what_names_something_agrees_where_it_is_equal(dtype: str, agree: float) -> None:
    original, answers = np.array([[1], [100]]).astype(dtype), np.array([[1], [99]]).astype(dtype)
    if dtype == "bool":
        answers[1] = False
    assert Gate.score(answers, original)(np.ones(2)) == pytest.approx(agree)
    compared = compare(answers, original)
    assert compared.relative == pytest.approx(0.5 if agree == 0.5 else 0.01)
    assert compared.agreement == (0.5 if agree == 0.5 else None)
    wrong = task("agreement").errors([answers], original)
    assert wrong.tolist() == [0, 1]


def test_whole_numbers_are_values_where_they_are_to_be_near() -> None:
    kind, output = task("regression"), TensorSpec("y", (2,), "int64")
    kind.check(Head("y", "regression"), [output])
    assert kind.errors([np.array([[1, 2]])], np.float32([[1, 5]])).tolist() == [1.5]
