"""Answers that are right under other names of classes say so; a model that is merely wrong does not."""

from __future__ import annotations

import numpy as np

from edgebuild.verbs.class_order import other

LABELS = np.arange(30) % 3
SWAPPED = np.array([2, 0, 1])[LABELS]  # what is labelled 0 is answered 2, and so on


def test_another_order_is_told_with_how_many_it_has_right() -> None:
    assert other(SWAPPED, LABELS, ("a", "b", "c")) == (("b", "c", "a"), 30)
    mostly = np.where(np.arange(30) < 4, 0, SWAPPED)
    assert other(mostly, LABELS, ("a", "b", "c")) == (("b", "c", "a"), 27)


def test_right_answers_chance_and_few_examples_are_no_other_order() -> None:
    assert other(LABELS, LABELS, ("a", "b", "c")) is None
    assert other(SWAPPED[:15], LABELS[:15], ("a", "b", "c")) is None
    assert other(np.zeros(30, int), LABELS, ("a", "b", "c")) is None
    drawn = np.random.default_rng(0)
    for _ in range(50):
        assert other(drawn.integers(0, 3, 30), LABELS, ("a", "b", "c")) is None
