"""Paired bootstrap: limits that hold as often as they say, where a formula tells what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import norm

from edgebuild.gates.statistics.bootstrap import UndefinedError, change_bound, examples_to_decide, tail
from tests.gates.statistics import few

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score


def mean(values: np.ndarray) -> Score:
    """The mean of the examples that are drawn."""
    return lambda weights: float(weights @ values / weights.sum())


def test_limits_of_a_mean_are_those_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 1000)
    found = change_bound(mean(values), 1000, 0.95)
    error = values.std() / np.sqrt(1000)
    assert found.estimate == pytest.approx(values.mean())
    assert found.error == pytest.approx(error, rel=0.05)
    assert (found.low, found.high) == pytest.approx(values.mean() + norm.ppf([0.05, 0.95]) * error, abs=0.15 * error)
    assert found.method == "BCa"


def test_each_limit_is_one_sided_at_the_confidence() -> None:
    values = np.random.default_rng(1).normal(0, 1, 500)
    wide, narrow = change_bound(mean(values), 500, 0.99), change_bound(mean(values), 500, 0.9)
    ratio = (wide.high - wide.low) / (narrow.high - narrow.low)
    assert ratio == pytest.approx(norm.ppf(0.99) / norm.ppf(0.9), rel=0.1)


def test_the_limit_is_passed_by_chance_as_seldom_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The true mean lies above the upper limit in one of twenty samples, also of a skewed distribution."""
    few.resamples(monkeypatch, 299)
    rng = np.random.default_rng(2)
    beyond = sum(change_bound(mean(rng.exponential(1, 120)), 120).high < 1 for _ in range(200))
    assert 0.02 <= beyond / 200 <= 0.1


def test_examples_are_drawn_for_both_models_at_once() -> None:
    """Apart, both vary by as much as the examples do; their difference does not."""
    rng = np.random.default_rng(3)
    hard = rng.normal(0, 10, 400)
    ours, theirs = mean(hard + rng.normal(0, 0.1, 400)), mean(hard)
    found = change_bound(lambda weights: ours(weights) - theirs(weights), 400)
    assert found.error < 0.01
    assert change_bound(ours, 400).error > 0.4


def test_streams_are_drawn_whole_because_their_examples_are_not_independent() -> None:
    """Forty streams of ten equal examples are forty observations, not four hundred."""
    values = np.repeat(np.random.default_rng(6).normal(0, 1, 40), 10)
    streams = np.repeat(np.arange(40), 10)
    whole, apart = change_bound(mean(values), 400, streams=streams), change_bound(mean(values), 400)
    assert whole.error == pytest.approx(np.sqrt(10) * apart.error, rel=0.1)
    with pytest.raises(UndefinedError, match="are one stream, and two are the least"):
        change_bound(mean(values), 400, streams=streams * 0)


def test_the_same_seed_gives_the_same_limits() -> None:
    values = mean(np.random.default_rng(4).normal(0, 1, 50))
    assert change_bound(values, 50) == change_bound(values, 50)
    assert change_bound(values, 50).high != change_bound(values, 50, seed=1).high


def test_many_examples_take_percentiles(monkeypatch: pytest.MonkeyPatch) -> None:
    few.resamples(monkeypatch, 99)
    values = np.random.default_rng(5).normal(0, 1, 6000)
    assert change_bound(mean(values), 6000).method == "percentile"
    assert change_bound(mean(values[:60]), 60).method == "BCa"


def test_where_no_example_changed_anything_the_limits_are_those_of_what_was_never_seen() -> None:
    """A bootstrap of equal values has no spread; that none of 60 changed does not mean that none ever will."""
    found, z = change_bound(mean(np.zeros(60)), 60), norm.ppf(0.95)
    assert (found.estimate, found.error, found.method) == (0, 0, "none changed")
    assert (found.low, found.high) == pytest.approx((-z * z / (60 + z * z), z * z / (60 + z * z)))


def test_a_metric_of_answers_alone_allows_for_losses_that_were_not_seen() -> None:
    """Two of 500 won and none lost: a bootstrap alone would swear that nothing is ever lost."""
    changes = np.zeros(500)
    changes[:2] = -1
    alone, allowed = change_bound(mean(changes), 500), change_bound(mean(changes), 500, discrete=True)
    assert alone.high <= 0
    assert allowed.high == pytest.approx(alone.high + 0.00538, abs=1e-5)
    assert allowed.low == pytest.approx(alone.low - 0.00538, abs=1e-5)


def test_a_value_that_resamples_lack_is_an_error_and_no_limit() -> None:
    only = np.arange(40) == 7
    with pytest.raises(UndefinedError, match="has no value on some resamples"):
        change_bound(lambda weights: 1.0 if weights[only].sum() else float("nan"), 40)


def test_the_examples_that_decide_bring_the_limit_to_the_estimate() -> None:
    """(1.645 + 1.282)² = 8.564 times the variance over the square of the distance."""
    assert examples_to_decide(0.01, 0.01, 100) == pytest.approx(856.4, abs=0.1)
    assert examples_to_decide(0.02, 0.01, 100) == pytest.approx(214.1, abs=0.1)
    assert examples_to_decide(0.0, 0.01, 100) == float("inf")
    assert tail(1.6449, 1.0) == pytest.approx(0.05, abs=1e-4)
