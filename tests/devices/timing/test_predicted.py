"""Seconds from counted work, against sums done by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from edgebuild.devices.timing import predicted
from edgebuild.spec.core import Band, TimeModel
from edgebuild.spec.evidence import CacheWork, Counted, Operators, SharedWork

MODEL = TimeModel("cortex-a72", 6.4e9, {"l1d": 5.0, "l1i": 5.0}, (Band(1, 0.3), Band(4, 0.35)), 0.25, ("made up",))
COUNTED = Counted(10**7, {}, {name: CacheWork(10**6, 10**5) for name in ("l1i", "l1d", "l2")}, 4e6, 1.0)


def test_time_is_compute_stalls_and_memory() -> None:
    compute = 4e6 / 1e9
    stalls = 2 * 100_000 * 5 / 1e9
    memory = 100_000 * 64 / 6.4e9
    assert predicted.seconds(COUNTED, MODEL, 1e9, 1) == pytest.approx(compute + stalls + memory)
    assert predicted.seconds(COUNTED, MODEL, 1e9, 4) == pytest.approx(compute / 4 + stalls + memory)


def test_each_operator_is_a_parallel_region_and_costs_where_several_threads_share_it() -> None:
    model, counted = replace(MODEL, fork_join=2e-5), replace(COUNTED, operators=50.0)
    alone, shared = (predicted.seconds(counted, MODEL, 1e9, threads) for threads in (1, 4))
    assert predicted.seconds(counted, model, 1e9, 1) == alone
    assert predicted.seconds(counted, model, 1e9, 4) == pytest.approx(shared + 50 * 20e-6)


@pytest.mark.parametrize(("threads", "band"), [(1, 0.3), (2, 0.35), (4, 0.35), (8, 0.35)])
def test_the_band_is_never_narrower_than_stated(threads: int, band: float) -> None:
    assert MODEL.band("tflite", threads).error == band


def test_a_formats_own_band_comes_first_and_one_that_is_not_stated_is_the_widest() -> None:
    bands = Band(1, 0.2, "tflite", 0.9, 10), Band(4, 0.25, "tflite", 0.9, 6), Band(4, 0.5)
    model = replace(MODEL, bands=bands)
    assert [model.band("tflite", 1), model.band("tflite", 2), model.band("onnx", 1)] == [*bands]
    assert replace(MODEL, bands=bands[:2]).band("onnx", 8) == bands[1]


def test_no_time_is_below_zero_however_wide_the_band() -> None:
    assert Band(1, 0.2).limits(10.0) == pytest.approx((8.0, 12.0))
    assert Band(1, 1.2).limits(10.0) == pytest.approx((0.0, 22.0))


def test_a_band_says_what_it_rests_on() -> None:
    assert Band(1, 0.2, "tflite", 0.9, 10).basis == "90% by 10 published figures"
    assert Band(4, 0.25, "tflite", 0.9, 6).basis == "90% by 6 published figures, normal errors assumed"
    assert Band(4, 0.5).basis == "not calibrated"


def limits(ours: float, theirs: float, shared: float, band: float = 0.25) -> tuple[float, float]:
    """Two files that take so long, of which `shared` seconds are the same work."""
    work = SharedWork(shared / ours, shared / theirs, Operators(1, 2, 2))
    return predicted.ratio_limits(band, ours, theirs, work)


def test_a_ratio_is_as_sure_as_stated_where_nothing_is_shared_and_exact_where_all_is() -> None:
    assert limits(3.0, 2.0, 0.0) == pytest.approx((0.75, 1.25))
    assert limits(2.0, 2.0, 2.0) == (1.0, 1.0)


def test_what_a_file_has_more_than_the_other_counts_by_its_part_alone() -> None:
    """3 s of which 2 s are all that the other does: only the third second is in doubt, by a quarter."""
    assert limits(3.0, 2.0, 2.0) == pytest.approx((1 - 0.25 / 3, 1 + 0.25 / 3))
    assert limits(2.0, 3.0, 2.0)[1] == pytest.approx(1 / (1 - 0.25 / 3), rel=0.01)


def test_the_more_is_shared_the_narrower_the_band() -> None:
    bands = [limits(3.0, 2.0, shared / 10) for shared in range(21)]
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(bands))


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0, 1.9])
def test_no_errors_within_the_band_put_the_true_ratio_outside_and_some_reach_the_ends(shared: float) -> None:
    """Errors drawn for shared and other work, each ratio of two of which is within the stated band."""
    band, rng = 0.25, np.random.default_rng(30)
    common, ours, theirs = np.exp(rng.uniform(-0.5, 0.5, (3, 200_000)))
    ratios = np.stack([ours / common, theirs / common, ours / theirs])
    fits = ((ratios >= 1 - band) & (ratios <= 1 + band)).all(0)
    common, ours, theirs = common[fits], ours[fits], theirs[fits]
    a, b = 3.0 - shared, 2.0 - shared
    true = (shared * common + a * ours) / (shared * common + b * theirs) / (3.0 / 2.0)
    low, high = limits(3.0, 2.0, shared, band)
    assert low <= true.min() < low + 0.02
    assert high - 0.02 < true.max() <= high
