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
    source: Sequence[int], target: Sequence[int], heads: bool = False, batched: Sequence[bool] | None = None
) -> tuple[Block, ...] | None:
    """The blocks of a reshape from one shape to another; None where they do not match.

    batched: which dimensions of the source are multiples of the batch; the first where that is not known

    A block with the batch frees the dimension of 1, or its first. What else is split in two keeps its first number and
    frees the last (the groups of a channel shuffle stay), what is split in more keeps the last (the sides of a
    picture); with `heads` the last but one is free, for heads go and their width stays.
    """
    if 0 in source or math.prod(source) != math.prod(target):
        return None
    batched = [place == 0 for place in range(len(source))] if batched is None else batched
    blocks, start, first = [], 0, 0
    while start < len(source) or first < len(target):
        stop, end = _with_batch(source, target, batched, (start, first), _equal(source, target, start, first))
        free = _free(target[first:end], any(batched[start:stop]), heads)
        blocks.append(Block(start, stop, tuple(target[first:end]), free))
        start, first = stop, end
    return tuple(blocks)


def _equal(source: Sequence[int], target: Sequence[int], start: int, first: int) -> tuple[int, int]:
    """Where the shortest block ends on either side; dimensions of 1 that nothing stands against end up in the last."""
    stop, end = min(start + 1, len(source)), min(first + 1, len(target))
    while math.prod(source[start:stop]) != math.prod(target[first:end]):
        if math.prod(source[start:stop]) < math.prod(target[first:end]):
            stop += 1
        else:
            end += 1
    if end == len(target) and all(size == 1 for size in source[stop:]):
        stop = len(source)
    if stop == len(source) and all(size == 1 for size in target[end:]):
        end = len(target)
    return stop, end


def _with_batch(
    source: Sequence[int],
    target: Sequence[int],
    batched: Sequence[bool],
    begin: tuple[int, int],
    ends: tuple[int, int],
) -> tuple[int, int]:
    """A batch of 1 that lies between two blocks goes to the one before: with the places, and not with the features."""
    (start, first), (stop, end) = begin, ends
    follows = stop < len(source) and batched[stop]
    if any(batched[start:stop]):
        taken = 1 not in target[first:end] and end < len(target) - 1 and target[end] == 1 and not follows
        return stop, end + taken
    return stop + (follows and source[stop] == 1 and end == len(target) - 1), end


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
