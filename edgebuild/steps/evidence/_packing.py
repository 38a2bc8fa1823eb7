"""The memory that a static plan of a graph's activations takes: who may lie where others lay before."""

from __future__ import annotations

from collections.abc import Iterable

from edgebuild.spec.lifetime import Lifetime

ALIGNMENT = 64  # of every tensor, as TFLite's arena


def planned(lifetimes: Iterable[Lifetime]) -> int:
    """Bytes from the first to the last of the plan that TFLite's arena planner makes: greedy by size.

    The largest tensor is placed first, each in the smallest gap that those already placed leave during its lifetime
    (Pisarchyk & Lee 2020, "Efficient memory management for deep neural net inference", section 5.2). No tensor takes
    the place of one that the same operator reads.
    """
    placed: list[tuple[int, Lifetime]] = []
    for tensor in sorted(lifetimes, key=lambda one: (-one.bytes, one.first, one.last)):
        beside = sorted((start, one.bytes) for start, one in placed if _meet(one, tensor))
        placed.append((_gap(beside, tensor.bytes), tensor))
    return max((start + one.bytes for start, one in placed), default=0)


def _meet(one: Lifetime, other: Lifetime) -> bool:
    return one.first <= other.last and other.first <= one.last


def _gap(taken: list[tuple[int, int]], size: int) -> int:
    """Where the smallest gap begins that holds `size` bytes, or the end of what is taken; (start, bytes) sorted."""
    best, least, end = None, 0, 0
    for start, length in taken:
        room = start - end
        if room >= size and (best is None or room < least):
            best, least = end, room
        end = max(end, _aligned(start + length))
    return end if best is None else best


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
