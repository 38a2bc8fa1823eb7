"""Counts that keep a ratio: as near as multiples allow, and never less than was to stay of all together."""

from __future__ import annotations

import random

import pytest

from edgebuild.nn.prune import shares
from edgebuild.nn.prune.dependencies import Group
from edgebuild.nn.prune.units import Units

NONE = Group("", "channels", (), (), (), ())


def units(sizes: list[int], multiple: int, noun: str = "channels", each: int = 1) -> list[Units]:
    """Groups of these sizes; `each` channels to a unit."""
    return [
        Units(f"{noun}{k}", noun, NONE, [[each * n + m for m in range(each)] for n in range(size)], multiple)
        for k, size in enumerate(sizes)
    ]


def counts(found: list[Units], ratio: float, *, up: bool = False) -> list[int]:
    of = {one.name: len(one.members) for one in found}
    wanted = shares.shares(found, dict.fromkeys(of, ratio), of)
    return [*shares.rounded(found, wanted, up=up).values()]


@pytest.mark.parametrize(
    ("ratio", "multiple", "left"),
    [
        (0.4, 8, [8, 24, 40]),
        (0.4, 4, [8, 20, 40]),
        (0.4, 1, [10, 19, 39]),
        (0.5, 8, [8, 16, 32]),
        (0.3, 1, [11, 23, 45]),
        (0.05, 8, [16, 32, 64]),
        (0.99, 8, [8, 8, 8]),
    ],
)
def test_the_nearest_counts_that_take_no_more_than_was_asked(ratio: float, multiple: int, left: list[int]) -> None:
    assert counts(units([16, 32, 64], multiple), ratio) == left


def test_exact_counts_are_not_spoilt_by_rounding_errors() -> None:
    assert counts(units([10, 20, 30], 1), 0.7) == [3, 6, 9]
    assert counts(units([10, 20, 30], 1), 0.9) == [1, 2, 3]


def test_whatever_the_sizes_the_promise_is_kept_and_missed_by_less_than_a_multiple_each() -> None:
    draw = random.Random(0)
    for _ in range(300):
        multiple, ratio = draw.choice([1, 2, 4, 8]), draw.uniform(0.01, 0.95)
        sizes = [multiple * draw.randint(2, 12) for _ in range(draw.randint(1, 6))]
        left = counts(units(sizes, multiple), ratio)
        assert all(stay % multiple == 0 and multiple <= stay <= size for stay, size in zip(left, sizes, strict=True))
        assert sum(sizes) - sum(left) <= ratio * sum(sizes) + 1e-6
        shares_of = [size * (1 - ratio) for size in sizes]
        assert all(abs(stay - share) < multiple + 1e-6 for stay, share in zip(left, shares_of, strict=True))
        early = counts(units(sizes, multiple), ratio / 2, up=True)
        assert all(now >= last for now, last in zip(early, left, strict=True))


def test_heads_and_channels_are_promises_of_their_own() -> None:
    found = [*units([16], 8), *units([4, 4], 1, "heads", each=8)]
    assert counts(found, 0.4) == [16, 2, 3]
    assert counts(units([16, 16], 2, each=4), 0.4) == [10, 10]
