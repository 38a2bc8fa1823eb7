"""Groups of examples that are alike: drops at the margin pass no more often than the confidence allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgebuild.gates.statistics import clustered, paired
from edgebuild.gates.statistics.bootstrap import change_bound
from edgebuild.gates.statistics.paired import Pairs
from edgebuild.spec.evidence import Clusters

MARGIN, TRIALS = 0.01, 400
MOST = 0.05 + 3 * (0.05 * 0.95 / TRIALS) ** 0.5  # three standard errors of a rate of 5 %


def drawn(rng: np.random.Generator, groups: int, size: int, alike: float, lost: float, won: float) -> tuple[Any, Any]:
    """Hits of both models, [groups · size]: shares of lost and won pairs vary between groups as `alike` says (their
    intraclass correlation, by a Dirichlet distribution).
    """
    spread = (1 - alike) / alike
    shares = rng.dirichlet([spread * lost, spread * won, spread * (1 - lost - won)], groups)
    kinds = (rng.random((groups, size, 1)) > shares.cumsum(1)[:, None, :2]).sum(2).reshape(-1)
    return kinds != 0, kinds != 1  # 0: the baseline alone is right, 1: the candidate alone


@pytest.mark.parametrize(("groups", "size", "alike"), [(6, 100, 0.3), (12, 100, 0.1), (40, 100, 0.3), (150, 20, 0.6)])
@pytest.mark.parametrize("won", [0.002, 0.05])
def test_a_drop_of_the_margin_rarely_passes_or_fails(groups: int, size: int, alike: float, won: float) -> None:
    rng, passes, fails, naive = np.random.default_rng(0), 0, 0, 0
    numbers = np.repeat(np.arange(groups), size)
    for _ in range(TRIALS):
        candidate, baseline = drawn(rng, groups, size, alike, won + MARGIN, won)
        pairs, own = paired.count_pairs(candidate, baseline), clustered.clusters(candidate, baseline, numbers)
        passes += clustered.score_p(pairs, MARGIN, own) < 0.05
        fails += clustered.score_p(pairs, MARGIN, own) > 0.95
        naive += paired.score_p(pairs, MARGIN) < 0.05
    assert passes / TRIALS <= MOST
    assert fails / TRIALS <= MOST
    assert naive / TRIALS > 0.1  # the premise: these examples are not independent


def test_groups_that_lost_nothing_count_as_one_example_each() -> None:
    hits = np.ones(1000, bool)
    own = clustered.clusters(hits, hits, np.repeat(np.arange(50), 20))
    assert own == Clusters(50, 20.0)
    bound = clustered.drop_bound(0, 0, 1000, 0.95, own)
    assert bound.high > paired.drop_bound(0, 0, 50).high > 20 * paired.drop_bound(0, 0, 1000).high * 0.9
    assert clustered.drop_bound(0, 0, 1000, 0.95, Clusters(1, 1000.0)) == (0, -1, 1)


def test_many_groups_of_independent_examples_lose_little() -> None:
    rng = np.random.default_rng(1)
    candidate, baseline = (rng.random(8000) > 0.02 for _ in range(2))
    pairs, own = paired.count_pairs(candidate, baseline), clustered.clusters(candidate, baseline, np.arange(8000) // 10)
    assert 1 <= own.effect < 1.3
    alone = paired.drop_bound(pairs.lost, pairs.won, pairs.n).high
    assert alone < clustered.drop_bound(pairs.lost, pairs.won, pairs.n, 0.95, own).high < alone + 0.001
    single = clustered.clusters(candidate, baseline, np.arange(8000))
    assert single == Clusters(8000, 1.0)


@pytest.mark.parametrize("counts", [(5, 2, 400), (0, 0, 400), (400, 0, 400), (0, 400, 400), (200, 200, 400)])
def test_the_limit_and_its_p_agree(counts: tuple[int, int, int]) -> None:
    own = Clusters(30, 2.5)
    bound = clustered.drop_bound(*counts, 0.95, own)
    assert -1 <= bound.low <= bound.estimate <= bound.high <= 1
    if 0 < bound.high < 0.999:
        assert clustered.score_p(Pairs(*counts), bound.high, own) == pytest.approx(0.05, abs=1e-3)
    assert clustered.drop_bound(*counts) == paired.drop_bound(*counts)


def test_few_streams_are_drawn_with_wider_limits() -> None:
    """Of five people whose change varies: plain percentiles exclude the truth 21 times of 200, twice too often."""
    rng, beyond = np.random.default_rng(2), 0
    streams = np.repeat(np.arange(5), 5)
    for _ in range(200):
        values = np.repeat(rng.normal(0, 1, 5), 5) + rng.normal(0, 0.1, 25)
        found = change_bound(lambda w, v=values: float((w * v).sum() / w.sum()), 25, resamples=499, streams=streams)
        beyond += found.high < 0
    assert beyond <= 15
