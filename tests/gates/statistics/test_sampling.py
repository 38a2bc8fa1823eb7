"""The bound on a finite set from draws without replacement: right at every look at once, where naive ones are not."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from edgebuild.gates.statistics.paired import differing_bound
from edgebuild.gates.statistics.sampling import most_of_kind

TOTAL, MOST, ERROR, TRIALS = 2000, 1000, 0.05, 2000
LOOKS = range(40, MOST + 1, 20)


def ever_wrong(bound: object, kinds: int, trials: int = TRIALS) -> float:
    """How often, of so many trials, a bound was below `kinds` at any look: whoever stops there passes wrongly."""
    rng, wrong = np.random.default_rng(5), 0
    cached = lru_cache(maxsize=None)(bound)  # type: ignore[arg-type]
    for _ in range(trials):
        drawn = np.zeros(TOTAL, int)
        drawn[rng.permutation(TOTAL)[:kinds]] = 1
        seen = np.cumsum(drawn)
        wrong += any(cached(int(seen[n - 1]), n) < kinds for n in LOOKS)
    return wrong / trials


def sequential(seen: int, n: int) -> int:
    """The bound that gates use."""
    return most_of_kind(seen, n, TOTAL, MOST, 1 - ERROR)


def naive(seen: int, n: int) -> int:
    """Exact for one number of draws, fixed beforehand; here it is looked at again and again."""
    return int(differing_bound(seen, n, 1 - ERROR) * TOTAL)


@pytest.mark.parametrize("kinds", [4, 13, 40, 200])
def test_looking_at_every_step_is_wrong_no_oftener_than_stated(kinds: int) -> None:
    assert ever_wrong(sequential, kinds) <= ERROR


def test_the_same_looks_at_a_bound_for_one_look_are_wrong_far_oftener() -> None:
    """The positive control: the simulation finds a rule that peeks."""
    assert ever_wrong(naive, 40) > 2 * ERROR


def test_at_one_look_alone_it_is_wrong_no_oftener_either() -> None:
    rng = np.random.default_rng(6)
    seen = rng.hypergeometric(40, TOTAL - 40, MOST, TRIALS)
    assert np.mean([sequential(int(each), MOST) < 40 for each in seen]) <= ERROR


def test_a_finite_set_costs_less_than_an_endless_one() -> None:
    """With none seen of 1,000 it is no larger than Clopper and Pearson's, although it may be looked at at any time."""
    for total in (1000, 2000, 5000):
        assert most_of_kind(0, 1000, total, 1000, 0.975) / total < differing_bound(0, 1000, 0.975)


def test_the_more_are_drawn_the_smaller_until_all_are_known() -> None:
    bounds = [sequential(0, n) for n in LOOKS]
    assert bounds == sorted(bounds, reverse=True)
    assert most_of_kind(3, 500, 500, 500) == 3


@pytest.mark.parametrize("counts", [(-1, 5, 10, 10), (6, 5, 10, 10), (0, 0, 10, 10), (0, 11, 10, 10), (0, 6, 10, 5)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="impossible"):
        most_of_kind(*counts)
