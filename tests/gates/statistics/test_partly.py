"""The drop of a device that ran some examples: its bound keeps its level however it was stopped, at fewer draws."""

from __future__ import annotations

import numpy as np
import pytest

from edgebuild.gates.statistics import sampling
from edgebuild.gates.statistics.paired import drop_bound
from edgebuild.gates.statistics.partly import _WEIGHT, Draws, critical, highest_drop

TOTAL, MOST, MARGIN, ERROR, TRIALS = 300, 240, 0.05, 0.05, 800
LOOKS = range(30, MOST + 1, 30)
CHANCE = 2 * (ERROR * (1 - ERROR) / TRIALS) ** 0.5


def ever_passes(host: float, device: float, bound: object) -> float:
    """How often any look finds a bound below the margin, where this machine loses a share and the device another."""
    rng, passed = np.random.default_rng(3), 0
    for _ in range(TRIALS):
        draw = rng.random(TOTAL)
        lost, won = draw < 0.02 + host, (draw >= 0.02 + host) & (draw < 0.04 + host)
        differs = (draw >= 1 - device) & ~lost  # right here and in the float model, wrong on the device
        order = rng.permutation(TOTAL)
        seen = np.cumsum(differs[order])
        b, c = int(lost.sum()), int(won.sum())
        passed += any(bound(b + int(seen[n - 1]), c, int(seen[n - 1]), n) < MARGIN for n in LOOKS)  # type: ignore[operator]
    return passed / TRIALS


def joint(lost: int, won: int, seen: int, n: int) -> float:
    """The bound that gates use."""
    return highest_drop(lost, won, TOTAL, TOTAL - n, Draws(seen, n, TOTAL, MOST), 1 - ERROR)


def credulous(lost: int, won: int, seen: int, n: int) -> float:
    """What did not run is taken to be as on this machine."""
    return drop_bound(lost, won, TOTAL, 1 - ERROR).high


@pytest.mark.parametrize(("host", "device"), [(0.05, 0.0), (0.0, 0.05), (0.025, 0.025), (0.04, 0.01)])
def test_a_drop_at_the_margin_passes_no_oftener_than_stated_at_any_look(host: float, device: float) -> None:
    assert ever_passes(host, device, joint) <= ERROR + CHANCE


def test_a_rule_that_believes_this_machine_passes_far_oftener() -> None:
    """The positive control: the simulation finds a rule that asks too little of the device."""
    assert ever_passes(0.0, 0.05, credulous) > 3 * ERROR


def test_the_product_of_two_uniform_p_values_is_below_the_critical_one_as_often_as_stated() -> None:
    first, second = np.random.default_rng(1).random((2, 400_000))
    for error in (0.05, 0.025, 0.01):
        assert np.mean(first * second**_WEIGHT <= critical(error)) == pytest.approx(error, rel=0.05)


def test_it_takes_fewer_draws_than_two_bounds_added_up() -> None:
    """EfficientNet-Lite0: of 1,000 pictures this machine loses 6 and wins 8, and so many may be wrong on the device."""

    def added(n: int) -> float:
        worse = sampling.most_of_kind(0, n, 1000, 1000, 0.9875)
        return drop_bound(6 + worse, 8, 1000, 0.9875).high

    def together(n: int) -> float:
        return highest_drop(6, 8, 1000, 1000 - n, Draws(0, n, 1000, 1000), 0.975)

    needed = {rule: next(n for n in range(50, 1001, 10) if rule(n) < 0.01) for rule in (added, together)}
    assert needed[together] < 0.65 * needed[added]


def test_where_all_ran_it_is_the_bound_of_the_pairs_and_where_few_did_it_is_wider_than_where_many_did() -> None:
    every = highest_drop(6, 8, 1000, 0, Draws(0, 1000, 1000, 1000), 0.95)
    assert every == drop_bound(6, 8, 1000, 0.95).high
    bounds = [highest_drop(6, 8, 1000, 1000 - n, Draws(0, n, 1000, 999), 0.95) for n in (50, 200, 400, 800)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] > every


def test_what_the_device_was_seen_to_lose_counts_and_points_to_more() -> None:
    bounds = [highest_drop(6 + s, 8, 1000, 600, Draws(s, 400, 1000, 999), 0.95) for s in (0, 1, 3, 10)]
    assert bounds == sorted(bounds)
    assert bounds[-1] > (16 - 8 + 10 / 400 * 600) / 1000  # beyond what those that did not run lose on average


def test_a_group_loses_no_more_than_what_of_it_did_not_run() -> None:
    draws = Draws(0, 100, 1000, 999)
    assert highest_drop(0, 0, 50, 0, draws, 0.95) == drop_bound(0, 0, 50, 0.95).high
    assert highest_drop(0, 0, 50, 5, draws, 0.95) <= drop_bound(5, 0, 50, 0.9999).high
