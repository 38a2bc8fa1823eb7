"""Seconds from counted work, against sums done by hand."""

from __future__ import annotations

import pytest

from edgebuild.measure import predicted
from edgebuild.spec.core import TimeModel

MODEL = TimeModel("cortex-a72", 6.4e9, {"l1d": 5.0, "l1i": 5.0}, ((1, 0.3), (4, 0.35)), 0.25, ("made up",))
COUNTED = {"cycles": 4e6, "caches": {name: {"accesses": 10**6, "misses": 10**5} for name in ("l1i", "l1d", "l2")}}


def test_time_is_compute_stalls_and_memory() -> None:
    compute = 4e6 / 1e9
    stalls = 2 * 100_000 * 5 / 1e9
    memory = 100_000 * 64 / 6.4e9
    assert predicted.seconds(COUNTED, MODEL, 1e9, 1) == pytest.approx(compute + stalls + memory)
    assert predicted.seconds(COUNTED, MODEL, 1e9, 4) == pytest.approx(compute / 4 + stalls + memory)


@pytest.mark.parametrize(("threads", "band"), [(1, 0.3), (2, 0.35), (4, 0.35), (8, 0.35)])
def test_the_band_is_never_narrower_than_stated(threads: int, band: float) -> None:
    assert MODEL.band(threads) == band
