"""Schedules: the shares that the papers' formulas give, and rounds that are none."""

from __future__ import annotations

import pytest

from edgebuild.nn.schedule import Schedule


def test_the_shares_of_the_rounds() -> None:
    assert Schedule().shares() == [1]
    assert Schedule("iterative", 4, 1).shares() == [0.25, 0.5, 0.75, 1]
    # Zhu & Gupta 2017, equation 1: s_f + (s_i − s_f)(1 − t/n)³ with s_i = 0, s_f = 1
    assert Schedule("cubic", 4, 1).shares() == pytest.approx([1 - 27 / 64, 1 - 8 / 64, 1 - 1 / 64, 1])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("one-shot", 3, 1), "one-shot pruning has one round, not 3"),
        (("cubic", 1, 1), "cubic pruning has two rounds or more, not 1"),
        (("iterative", 3, 0), "3 rounds with no epochs between them are one"),
    ],
)
def test_contradictions_are_refused(given: tuple[str, int, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Schedule(*given)  # type: ignore[arg-type]
