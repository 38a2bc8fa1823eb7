"""Reshapes as blocks of dimensions instead of numbers, so that batch and channels stay free.

A file says `[1, 512]`, which is wrong for two examples and for a pruned layer. Input and output dimensions are matched
from the left into blocks of equal product; of each block, one output dimension is computed from what comes in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Block(NamedTuple):
    """Input dimensions `start` to `stop` become those of `sizes`, of which that at place `free` is computed."""

    start: int
    stop: int
    sizes: tuple[int, ...]
    free: int


def match(
    given: Sequence[int], asked: Sequence[int], heads: bool = False, batched: Sequence[bool] | None = None
) -> tuple[Block, ...] | None:
    """The blocks of a reshape from one shape to another; None where they do not match.

    batched: which of the given dimensions are multiples of the batch; the first where that is not known

    A block with the batch frees the dimension of 1, or its first. What else is split in two keeps its first number and
    frees the last (the groups of a channel shuffle stay), what is split in more keeps the last (the sides of a
    picture); with `heads` the last but one is free, for heads go and their width stays.
    """
    if 0 in given or math.prod(given) != math.prod(asked):
        return None
    batched = [place == 0 for place in range(len(given))] if batched is None else batched
    blocks, start, first = [], 0, 0
    while start < len(given) or first < len(asked):
        stop, end = _with_batch(given, asked, batched, (start, first), _equal(given, asked, start, first))
        free = _free(asked[first:end], any(batched[start:stop]), heads)
        blocks.append(Block(start, stop, tuple(asked[first:end]), free))
        start, first = stop, end
    return tuple(blocks)


def _equal(given: Sequence[int], asked: Sequence[int], start: int, first: int) -> tuple[int, int]:
    """Where the shortest block ends on either side; dimensions of 1 that nothing stands against end up in the last."""
    stop, end = min(start + 1, len(given)), min(first + 1, len(asked))
    while math.prod(given[start:stop]) != math.prod(asked[first:end]):
        if math.prod(given[start:stop]) < math.prod(asked[first:end]):
            stop += 1
        else:
            end += 1
    if end == len(asked) and all(size == 1 for size in given[stop:]):
        stop = len(given)
    if stop == len(given) and all(size == 1 for size in asked[end:]):
        end = len(asked)
    return stop, end


def _with_batch(
    given: Sequence[int],
    asked: Sequence[int],
    batched: Sequence[bool],
    begin: tuple[int, int],
    ends: tuple[int, int],
) -> tuple[int, int]:
    """A batch of 1 that lies between two blocks goes to the one before: with the places, and not with the features."""
    (start, first), (stop, end) = begin, ends
    follows = stop < len(given) and batched[stop]
    if any(batched[start:stop]):
        taken = 1 not in asked[first:end] and end < len(asked) - 1 and asked[end] == 1 and not follows
        return stop, end + taken
    return stop + (follows and given[stop] == 1 and end == len(asked) - 1), end


def _free(sizes: Sequence[int], batch: bool, heads: bool) -> int:
    if not sizes:
        return 0
    if batch:
        return sizes.index(1) if 1 in sizes else 0
    wide = [place for place, size in enumerate(sizes) if size > 1]
    if not wide:
        return len(sizes) - 1
    if heads and len(wide) > 1:
        return wide[-2]
    return wide[0] if len(wide) > 2 else wide[-1]


def reshape(values: Tensor, blocks: tuple[Block, ...]) -> Tensor:
    """The values in the shape that the blocks make of theirs; the batch may be any."""
    sizes: list[int] = []
    for start, stop, literal, free in blocks:
        count = math.prod(values.shape[start:stop])
        rest = math.prod(size for place, size in enumerate(literal) if place != free)
        sizes += [count // rest if place == free else size for place, size in enumerate(literal)]
    return values.reshape(sizes)
