"""How a bundle's run.py puts answers into words, task by task."""

from __future__ import annotations

import numpy as np
import pytest

from edgebuild.spec.registry import TASKS
from edgebuild.travels import run

HEAD = {"name": "output", "labels": ["cat", "dog", "cow"]}
SHOWN = {
    "ranked": ([np.array([0.0, 2.0, 1.0])], "dog (66.5 %), cow (24.5 %)"),
    "several": ([np.array([1.0, -2.0, 3.0])], "cow (95.3 %), cat (73.1 %)"),
    "values": ([np.array([1.5, -2.0])], "1.5 -2"),
    "areas": (
        [np.array([[[0, 9.0], [9, 9]], [[1, 1], [1, 1]], [[0, 0], [0, 0]]])],
        "cat (75.0 % of the area), dog (25.0 % of the area)",
    ),
    "distance": ([np.array([1.0, 2.0])], "2.5 from what is normal"),
    "tensor": ([np.array([[1.0, 2.0]])], "[1, 2] from 1 to 2"),
}


@pytest.mark.parametrize("show", SHOWN)
def test_an_answer_is_shown_as_its_task_says(show: str) -> None:
    answers, text = SHOWN[show]
    assert run.shown(HEAD | {"show": show}, answers, [np.array([[2.0, 4.0]])], 2) == text


@pytest.mark.parametrize("scores", [[0.1, 0.7, 0.2], [0.1016, 0.6953, 0.1914]])
def test_probabilities_are_shown_as_they_are(scores: list[float]) -> None:
    """Of a model that ends in a softmax, or in one of 8 bits, whose sum is rounded; no second softmax flattens them."""
    text = run.shown(HEAD | {"show": "ranked"}, [np.array(scores)], [], 1)
    assert text == f"dog ({100 * scores[1]:.1f} %)"


def test_nothing_at_all_is_said_so() -> None:
    assert run.shown(HEAD | {"show": "several"}, [np.array([-1.0, -2.0, -3.0])], [], 1) == "nothing"


@pytest.mark.parametrize("name", TASKS.names())
def test_run_py_knows_how_to_show_every_task(name: str) -> None:
    assert TASKS.get(name).show in run.SHOW
