"""The drift alarm: far outside of what was seen, one-sided, and silent where little was seen."""

from __future__ import annotations

import numpy as np
import pytest

from edgebuild.measure.drift import drift


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
