"""Which points are worth having, and which of them nobody can tell apart."""

from __future__ import annotations

import random

import pytest

from edgebuild.search import pareto
from edgebuild.search.trial import Loss, Point, Trial


def trial(
    number: int, time: float, size: float, loss: float, wrong: tuple[int, ...] = (), *, passes: bool = True
) -> Trial:
    own = Loss("accuracy", "share", 300, loss, loss / 100, loss / 100 - 0.01, loss / 100 + 0.01, wrong)
    point = Point("onnx", time, 0.7 * time, 1.3 * time, 0.25, int(1e6 * size), int(1e6 * size), time, size, own)
    return Trial(number, {}, (), "whole", "passes" if passes else "rejected", "", point)


def test_a_point_is_worth_having_unless_another_is_nowhere_worse_and_somewhere_better() -> None:
    trials = [
        trial(0, 0.5, 0.5, 0.0),
        trial(1, 0.4, 0.6, 0.0),
        trial(2, 0.5, 0.6, 0.0),
        trial(3, 0.1, 0.1, 5.0, passes=False),
    ]
    assert [each.number for each in pareto.front(trials)] == [1, 0]  # the cheapest first


def test_from_the_safest_on_each_point_costs_less_than_all_before_it() -> None:
    trials = [
        trial(0, 0.5, 0.5, -0.3),
        trial(1, 0.4, 0.4, 0.3),
        trial(2, 0.3, 0.3, 0.0),
        trial(3, 0.2, 0.2, 0.6),
        trial(4, 0.31, 0.31, 0.3),
        trial(5, 0.1, 0.1, 2.0, passes=False),
    ]
    assert [each.number for each in pareto.from_the_safest(trials)] == [0, 2, 3]
    assert [each.number for each in pareto.from_the_safest(trials[1:5])] == [2, 3]
    assert pareto.from_the_safest([]) == ()


def test_of_two_points_that_are_equal_the_first_is_told() -> None:
    assert [each.number for each in pareto.front([trial(0, 0.5, 0.5, 0.0), trial(1, 0.5, 0.5, 0.0)])] == [0]


def test_points_that_are_not_proved_different_are_ties() -> None:
    near, far = trial(1, 0.55, 0.501, 0.2, wrong=(1, 2)), trial(2, 0.55, 0.52, 0.2)
    trials = [
        trial(0, 0.5, 0.5, 0.0, wrong=(1, 3)),
        near,
        far,
        trial(3, 0.7, 0.5, 0.0),
        trial(4, 0.5, 0.5, 9, (*range(40),)),
    ]
    assert pareto.ties(trials[0], trials) == (1,)  # other bytes, other time, other answers


def test_answers_are_compared_example_by_example() -> None:
    """Ten mistakes more beside the same ten are no chance; ten that each makes alone may be."""

    def lost(*wrong: int) -> Loss:
        return Loss("accuracy", "share", 300, 0.0, 0.0, 0.0, 0.0, wrong)

    assert pareto.against(lost(*range(20)), lost(*range(10))).low > 0
    assert not pareto.losses_alike(lost(*range(20)), lost(*range(10)))
    assert pareto.losses_alike(lost(*range(10)), lost(*range(100, 110)))


@pytest.mark.parametrize("seed", range(5))
def test_the_hypervolume_is_optunas(seed: int) -> None:
    import numpy as np
    from optuna._hypervolume import compute_hypervolume

    draw = random.Random(seed)
    points = [tuple(draw.uniform(0, 1.2) for _ in range(3)) for _ in range(12)]
    inside = np.array([point for point in points if max(point) < 1])
    assert pareto.hypervolume(points) == pytest.approx(compute_hypervolume(inside, np.ones(3)))
    assert pareto.hypervolume([(0.5, 0.5, 0.5)]) == pytest.approx(0.125)
    assert pareto.hypervolume([]) == 0
