"""Reshapes whose sizes follow what comes in: other batches, and layers with fewer channels."""

from __future__ import annotations

import pytest
import torch

from edgebuild.nn.lift.blocks import match, reshape

# shape of one example, what the file asks for, another shape that comes in, what that must become
CASES = [
    ((1, 32, 1, 1), (1, 32), (4, 32, 1, 1), (4, 32)),
    ((1, 32, 1, 1), (1, 32), (1, 20, 1, 1), (1, 20)),  # pruned
    ((1, 32, 4, 4), (1, 512), (3, 20, 4, 4), (3, 320)),
    ((1, 512), (1, 32, 4, 4), (3, 320), (3, 20, 4, 4)),
    ((1, 8, 6, 6), (1, 2, 4, 6, 6), (2, 6, 6, 6), (2, 2, 3, 6, 6)),  # a channel shuffle keeps its groups
    ((1, 2, 4, 6, 6), (1, 8, 6, 6), (2, 2, 3, 6, 6), (2, 6, 6, 6)),
    ((1, 9, 24), (9, 24), (5, 9, 24), (45, 24)),
    ((9, 24), (1, 9, 24), (45, 24), (5, 9, 24)),
    ((1, 24), (1, 1, 24), (5, 20), (5, 1, 20)),
    ((1, 8, 8, 3), (1, 2, 4, 2, 4, 3), (2, 8, 8, 3), (2, 2, 4, 2, 4, 3)),  # windows
    ((1, 16), (16,), (1, 12), (12,)),
    ((6,), (1, 1, 6), (12,), (2, 1, 6)),
]


@pytest.mark.parametrize(("given", "asked", "other", "result"), CASES)
def test_sizes_follow_what_comes_in(
    given: tuple[int, ...], asked: tuple[int, ...], other: tuple[int, ...], result: tuple[int, ...]
) -> None:
    blocks = match(given, asked)
    assert blocks is not None
    assert reshape(torch.zeros(given), blocks).shape == asked
    assert reshape(torch.zeros(other), blocks).shape == result


def test_heads_go_and_their_width_stays() -> None:
    blocks = match((1, 9, 24), (1, 9, 4, 6), heads=True)
    assert blocks is not None
    assert reshape(torch.zeros(2, 9, 18), blocks).shape == (2, 9, 3, 6)
    thirds = match((1, 9, 72), (1, 9, 3, 4, 6), heads=True)
    assert thirds is not None
    assert reshape(torch.zeros(2, 9, 54), thirds).shape == (2, 9, 3, 3, 6)


def test_values_stay_in_their_order() -> None:
    values = torch.arange(48.0).reshape(2, 4, 6)
    blocks = match((1, 4, 6), (1, 2, 2, 6))
    assert blocks is not None
    assert torch.equal(reshape(values, blocks), values.reshape(2, 2, 2, 6))


def test_what_holds_nothing_has_no_blocks() -> None:
    assert match((0, 3), (3, 0)) is None
    assert match((2, 3), (5,)) is None


def test_the_batch_may_lie_behind_other_dimensions() -> None:
    def through(given: tuple[int, ...], asked: tuple[int, ...], batched: int, other: tuple[int, ...]) -> torch.Size:
        blocks = match(given, asked, batched=[place == batched for place in range(len(given))])
        assert blocks is not None
        return reshape(torch.zeros(other), blocks).shape

    assert through((9, 1, 24), (9, 4, 6), 1, (9, 2, 24)) == (9, 8, 6)  # places first, heads and batch in one
    assert through((9, 4, 6), (9, 1, 4, 6), 1, (9, 8, 6)) == (9, 2, 4, 6)
    assert through((9,), (9, 1), 0, (18,)) == (9, 2)
    assert through((6, 1, 2, 8), (6, 16), 1, (6, 3, 2, 8)) == (18, 16)
    assert through((6, 16), (6, 1, 16), 0, (18, 16)) == (6, 3, 16)
