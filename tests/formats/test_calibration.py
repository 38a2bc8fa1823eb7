"""Ranges of activations: the formulas of the calibrators, worked out here in another way; and what has no range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from edgebuild.formats import _histogram, _masks
from edgebuild.formats._calibration import calibrate
from edgebuild.formats._histogram import BINS, CANDIDATES, Histogram, rounded
from edgebuild.spec.errors import UsageError
from edgebuild.spec.quantization import NO_RANGE, Calibrator, Quantization, Range
from edgebuild.spec.spread import remarks

RNG = np.random.default_rng(5)
NORMAL = RNG.normal(size=(20, 500)).astype(np.float32)


def ranges(examples: Any, calibrator: Calibrator = "minmax", **options: Any) -> Range:
    how = Quantization("static", calibrator=calibrator, **options)
    return calibrate(lambda: ({"x": example} for example in examples), how)["x"]


def counted(values: np.ndarray) -> Histogram:
    seen = Histogram.empty((min(0.0, float(values.min())), max(0.0, float(values.max()))))
    seen.add(values)
    return seen


def test_affine_rounding_is_the_formula_and_gives_the_ends_back() -> None:
    # q = round((x − min)/(max − min)·3) for 2 bits between -1 and 2: steps of 1
    given = rounded(np.array([-5.0, -1.0, -0.4, 0.4, 0.6, 1.4, 9.0]), (-1.0, 2.0), bits=2)
    assert given.tolist() == [-1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 2.0]


def test_minmax_is_what_was_seen_and_0() -> None:
    assert ranges([np.float32([1, 3]), np.float32([-2, 0.5])]) == (-2.0, 3.0)
    assert ranges([np.float32([1, 3])]) == (0.0, 3.0)
    assert ranges([np.float32([-3, -1])]) == (-3.0, 0.0)


@pytest.mark.parametrize("hidden", [-np.inf, np.inf, np.finfo(np.float32).min, -1e9, 1e9, -65504, -1e4])
@pytest.mark.parametrize("calibrator", ["minmax", "moving_average", "percentile", "entropy", "mse"])
def test_a_tensor_in_which_values_stand_for_none_has_no_range(hidden: float, calibrator: Calibrator) -> None:
    masked = NORMAL + np.where(np.arange(500) < 400, 0, np.float32(hidden))
    assert ranges(masked, calibrator) == NO_RANGE


def test_large_values_without_a_gap_are_numbers() -> None:
    assert ranges([np.float32([-300, 1, 20_000])]) == (-300.0, 20_000.0)
    assert ranges([np.float32([0, -1e9])]) == (-1e9, 0.0)  # exact at both ends
    assert ranges([np.float32([1e4, 5e6, 3e9])]) == (0.0, np.float32(3e9))


@pytest.mark.parametrize("calibrator", ["minmax", "moving_average", "percentile", "entropy", "mse"])
def test_what_is_0_in_all_examples_is_exact_at_any_scale(calibrator: Calibrator) -> None:
    assert ranges([np.zeros(3, np.float32)] * 4, calibrator) == (0.0, 0.0)
    assert ranges([np.full(3, 1e-38, np.float32)] * 4, calibrator) == (0.0, 0.0)
    assert _masks.usable({"x": (0.0, 0.0), "y": (-2.0, 1.0)}) == {"x": (-1.0, 1.0), "y": (-2.0, 1.0)}


def test_what_calibration_says_nothing_of_is_told_in_a_line_each() -> None:
    still = dict.fromkeys("abcde", (0.0, 0.0))
    first, second = remarks(still | {"m": NO_RANGE, "x": (0.0, 1.0)})
    assert first.startswith("0 in all calibration examples are the tensors 'a', 'b', 'c' and 2 more")
    assert second == "values that stand for \"no value\" are in 'm': the operators on them stay float"
    assert remarks({"x": (0.0, 1.0)}) == []


def test_moving_average_forgets_a_twentieth_with_each_batch() -> None:
    inner = np.zeros(97, np.float32)
    examples = [np.append(inner, np.float32(ends)) for ends in ((0, 10), (-4, 20), (-2, 10)) for _ in range(16)]
    high = 0.95 * (0.95 * 10 + 0.05 * 20) + 0.05 * 10
    low = 0.95 * (0.95 * 0 + 0.05 * -4) + 0.05 * -2
    assert ranges(examples, "moving_average") == pytest.approx((low, high))


@pytest.mark.parametrize("keep", [90.0, 99.0, 99.9])
def test_percentile_is_numpys_to_within_a_few_bins(keep: float) -> None:
    low, high = _histogram.percentile(counted(NORMAL), Quantization("static", percentile=keep))
    wanted = np.percentile(NORMAL, [(100 - keep) / 2, 100 - (100 - keep) / 2])
    assert (low, high) == pytest.approx(tuple(wanted), abs=0.02)


def test_percentile_of_positive_values_starts_at_0() -> None:
    assert _histogram.percentile(counted(np.abs(NORMAL)), Quantization("static", percentile=99))[0] == 0.0


@pytest.mark.parametrize("symmetric", [False, True])
def test_mse_is_the_best_of_all_thresholds_tried_on_the_values_themselves(symmetric: bool) -> None:
    values = np.concatenate([NORMAL.ravel(), np.float32([25.0])])
    low, high = _histogram.mse(counted(values), Quantization("static", symmetric=symmetric))

    def error(t: float) -> float:
        ends = (-t, t) if symmetric else (max(-t, float(values.min())), min(t, float(values.max())))
        steps = (ends[1] - ends[0]) / 255
        q = np.clip(np.floor((values.astype(float) - ends[0]) / steps + 0.5), 0, 255)
        return float(((values - (ends[0] + q * steps)) ** 2).mean())

    tried = [25.0 * step / CANDIDATES for step in range(1, CANDIDATES + 1)]
    best = min(tried, key=error)
    assert error(high) <= error(best) * 1.02
    assert (low == -high) is symmetric


@pytest.mark.parametrize(("outliers", "at", "given_up"), [(3, 60.0, True), (100, 12.0, False)])
def test_entropy_is_the_least_kl_divergence_by_another_library(outliers: int, at: float, given_up: bool) -> None:
    values = np.concatenate([np.abs(NORMAL).ravel(), np.full(outliers, at, np.float32)])
    seen = counted(values)
    assert (_histogram.entropy(seen, Quantization("static"))[1] < at / 2) is given_up

    def divergence(bins: int) -> float:
        clipped = seen.counts[:bins].astype(float)
        reference = clipped.copy()
        reference[-1] += seen.counts[bins:].sum()
        merged = np.zeros(bins)
        for level in range(256):
            inside = np.arange(bins) * 256 // bins == level
            filled = inside & (clipped > 0)
            if filled.any():
                merged[filled] = clipped[inside].sum() / filled.sum()
        return float(stats.entropy(reference / reference.sum(), np.maximum(merged / merged.sum(), 1e-6) + 0))

    thresholds = {round(BINS * step / CANDIDATES) for step in range(1, CANDIDATES + 1)}
    best = min((bins for bins in thresholds if bins >= 256), key=divergence)
    assert _histogram.entropy(seen, Quantization("static"))[1] == pytest.approx(best * at / BINS, rel=0.02)


def test_symmetric_candidates_have_0_in_the_middle() -> None:
    assert all(low == -high for low, high in counted(NORMAL).candidates(symmetric=True))
    assert all(low <= 0 <= high for low, high in counted(NORMAL).candidates(symmetric=False))


@pytest.mark.parametrize(
    ("examples", "told"),
    [
        ([], "no calibration examples"),
        ([np.float32([1, np.nan])], "tensor 'x' has NaN"),
    ],
)
def test_what_has_no_range_is_refused_by_name(examples: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ranges(examples)


def test_a_tensor_without_finite_values_is_a_mask() -> None:
    assert ranges([np.float32([np.inf, -np.inf])] * 2) == NO_RANGE


def test_a_tensor_without_values_is_like_one_that_is_0() -> None:
    assert ranges([np.zeros((0, 3), np.float32)] * 2) == (0.0, 0.0)


def test_a_file_without_floats_has_nothing_to_quantize() -> None:
    with pytest.raises(UsageError, match="nothing in float32: there is nothing to quantize"):
        calibrate(lambda: [{}, {}], Quantization("static"))


def test_a_range_that_clips_much_is_refused_with_the_tensors_name() -> None:
    with pytest.raises(UsageError, match=r"range .* of tensor 'x' clips \d\d\.\d%"):
        ranges(NORMAL, "percentile", percentile=80.0)


@pytest.mark.parametrize("calibrator", ["minmax", "moving_average", "percentile", "entropy", "mse"])
def test_a_given_range_of_nothing_but_0_says_no_more_than_calibration(calibrator: Calibrator) -> None:
    still = {"x": (0.0, 0.0)}
    assert ranges([np.zeros(3, np.float32)] * 4, calibrator, ranges=still) == (0.0, 0.0)
    assert ranges(NORMAL, calibrator, ranges=still) == ranges(NORMAL, calibrator)


def test_given_ranges_win_over_calibration() -> None:
    assert ranges(NORMAL, ranges={"x": (-3.5, 3.0)}) == (-3.5, 3.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"y": (-1.0, 1.0)}, "a range is given for 'y', which no operator writes"),
        ({"x": (1.0, 2.0)}, "range given for tensor 'x' is 1 to 2: it must hold 0"),
        ({"x": (-2.0, -1.0)}, "range given for tensor 'x' is -2 to -1: it must hold 0"),
        ({"x": (-0.1, 0.1)}, "clips"),
    ],
)
def test_given_ranges_that_cannot_be_are_refused(given: dict[str, Range], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ranges(NORMAL, ranges=given)
