"""The entropy coder: what it codes comes back, and takes what Shannon's bound says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgebuild.formats.coding import rans
from edgebuild.travels import decoder
from tests.formats.coding.contents import Array


def there_and_back(contents: list[Array], bits: int, lanes: int) -> tuple[bytes, list[Array]]:
    tables = [rans.table(content, bits) for content in contents]
    coded = rans.encode(contents, tables, bits, lanes)
    streams = [decoder.Stream(len(c), decoder.RANS, 0, t) for c, t in zip(contents, tables, strict=True)]
    return coded, list(decoder.rans(coded, streams, bits, lanes))


@pytest.mark.parametrize("lanes", [1, 2, 16, 1024])
@pytest.mark.parametrize("bits", [9, 12, 15])
def test_streams_of_every_kind_come_back(bits: int, lanes: int) -> None:
    rng = np.random.default_rng(bits * lanes)
    contents = [
        rng.integers(0, 256, 3001, np.uint8),
        np.zeros(500, np.uint8),  # one value alone takes nothing
        np.full(77, 255, np.uint8),
        (rng.random(4000) < 0.003).astype(np.uint8),
        np.array([7], np.uint8),
    ]
    _, found = there_and_back(contents, bits, lanes)
    for content, again in zip(contents, found, strict=True):
        np.testing.assert_array_equal(again, content)


@pytest.mark.parametrize(
    "shares",
    [[0.5, 0.25, 0.125, 0.125], [0.95, 0.03, 0.02], [0.999, 0.001], [1 / 256] * 256, list(np.geomspace(1, 1e-4, 60))],
    ids=["dyadic", "sparse", "rare", "even", "steep"],
)
def test_it_takes_at_most_one_per_cent_more_than_the_entropy(shares: list[float]) -> None:
    """H = −Σ p·log₂ p of the values that were drawn, by hand (Shannon 1948)."""
    count = 100_000
    content = np.random.default_rng(0).choice(len(shares), count, p=np.array(shares) / sum(shares)).astype(np.uint8)
    occurring = [n for n in np.bincount(content).tolist() if n]
    bound = sum(n * math.log2(count / n) for n in occurring) / 8
    coded, (again,) = there_and_back([content], 14, 8)
    np.testing.assert_array_equal(again, content)
    assert bound <= len(coded) <= 1.01 * bound + 4 * 8


def test_a_table_adds_up_and_forgets_no_value() -> None:
    """1,000 zeros and one of each other value: 512 shares cannot be a thousandth each."""
    content = np.concatenate([np.zeros(1000, np.uint8), np.arange(1, 256, dtype=np.uint8)])
    found = rans.table(content, 9)
    assert found.sum() == 512
    assert found.min() == 1
    assert found.tolist() == [512 - 255, *[1] * 255]


def test_a_share_is_its_count_where_that_is_exact() -> None:
    assert rans.table(np.array([0, 0, 0, 2], np.uint8), 10).tolist() == [768, 0, 256]
    assert rans.cost(np.array([0, 0, 0, 2], np.uint8), np.array([768, 0, 256]), 10) == pytest.approx(
        (3 * math.log2(4 / 3) + 2) / 8
    )
