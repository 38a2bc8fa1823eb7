"""Static plans of memory: small ones worked out by hand, large ones never below what is alive at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgebuild.spec.lifetime import Lifetime
from edgebuild.steps.evidence._packing import ALIGNMENT, planned

PLANS = {
    "nothing": ([], 0),
    "one": ([(100, 0, 0)], 100),
    "two at once, the second aligned": ([(100, 0, 1), (50, 1, 1)], 128 + 50),
    "two after each other": ([(100, 0, 0), (90, 1, 1)], 100),
    "a chain, each with the one before": ([(640, 0, 1), (128, 1, 2), (640, 2, 3)], 768),
    # The two largest at 0 and 640; the smaller ones in the gap at 0 when the first has died, side by side.
    "small ones in a gap": ([(640, 0, 1), (640, 1, 3), (64, 2, 3), (128, 2, 3)], 1280),
    # When the second and the fourth have died there are gaps of 640 and 448 bytes. 384 go into the smaller one, so that
    # twice 320 fit into the larger; put into the first gap that fits, one of these would have no place left.
    "the smallest gap that fits": (
        [(1280, 0, 9), (640, 0, 0), (576, 0, 9), (448, 0, 0), (448, 0, 9), (384, 5, 5), (320, 5, 5), (320, 5, 5)],
        1280 + 640 + 576 + 448 + 448,
    ),
}


@pytest.mark.parametrize("kind", PLANS)
def test_a_plan_is_the_one_made_by_hand(kind: str) -> None:
    tensors, expected = PLANS[kind]
    assert planned(Lifetime(*each) for each in tensors) == expected


@pytest.mark.parametrize("seed", range(20))
def test_no_two_tensors_that_live_at_once_share_a_byte(seed: int) -> None:
    """So a plan is never smaller than the most that is alive at any time; and seldom much larger."""
    rng = np.random.default_rng(seed)
    firsts = rng.integers(0, 30, 60)
    tensors = [
        Lifetime(int(size) * ALIGNMENT, int(first), int(first + length))
        for size, first, length in zip(rng.integers(1, 50, 60), firsts, rng.integers(0, 6, 60), strict=True)
    ]
    alive = max(sum(t.bytes for t in tensors if t.first <= time <= t.last) for time in range(40))
    assert alive <= planned(tensors) <= 1.5 * alive


def test_the_order_in_which_tensors_are_told_does_not_matter() -> None:
    tensors = [Lifetime(64 * size, size % 3, size % 3 + 2) for size in (1, 2, 3, 4, 5)]
    assert {planned(order) for order in itertools.permutations(tensors)} == {planned(tensors)}
