"""The drift alarm: far outside of what was seen, one-sided, and silent where little was seen."""

from __future__ import annotations

import numpy as np
import pytest

from edgebuild.gates.statistics.drift import COUNTED, drift


def test_the_fence_is_q3_and_three_interquartile_ranges() -> None:
    earlier = [1.0, 2.0, 3.0, 4.0, 5.0]  # quartiles 2, 3, 4; fence 4 + 3 · 2 = 10
    assert drift(earlier, 10.0) is None
    found = drift(earlier, 10.01)
    assert found is not None
    assert (found.median, found.fence, found.n) == (3.0, 10.0, 5)


def test_the_quartiles_are_those_of_numpy() -> None:
    earlier = np.random.default_rng(0).lognormal(size=37)
    first, third = np.quantile(earlier, [0.25, 0.75])
    found = drift(earlier.tolist(), 1e9)
    assert found is not None
    assert found.fence == pytest.approx(third + 3 * (third - first))


def test_a_faster_machine_and_four_values_are_no_alarm() -> None:
    assert drift([1.0, 1.1, 1.2, 1.3, 1.4], 0.0001) is None
    assert drift([1.0, 1.0, 1.0, 1.0], 50.0) is None
    assert drift([], 1.0) is None


def test_times_that_repeat_exactly_raise_no_alarm_by_a_millionth() -> None:
    assert drift([0.02] * 9, 0.02 * (1 + 1e-6)) is None
    assert drift([0.02] * 9, 0.02 * 1.029) is None
    assert drift([0.02] * 9, 0.02 * 1.031) is not None


def test_counted_work_drifts_by_less_than_measured_time_may() -> None:
    assert drift([0.02] * 9, 0.02 * 1.009, COUNTED) is None
    assert drift([0.02] * 9, 0.02 * 1.011, COUNTED) is not None
