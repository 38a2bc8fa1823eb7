"""Which of several candidates cannot go: few trials where most of them can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Candidate = TypeVar("Candidate")


def unsound(candidates: Sequence[Candidate], fault: Callable[[Sequence[Candidate]], str | None]) -> dict[int, str]:
    """The candidates, by their place, that cannot go, and why: all at once if that works, else by halves.

    Most models pass at once. What each passes alone and not together is taken in one by one.
    """
    return _unsound([*range(len(candidates))], lambda chosen: fault([candidates[number] for number in chosen]))


def _unsound(chosen: list[int], fault: Callable[[list[int]], str | None]) -> dict[int, str]:
    if not chosen or (why := fault(chosen)) is None:
        return {}
    if len(chosen) == 1:
        return {chosen[0]: why}
    half = len(chosen) // 2
    bad = _unsound(chosen[:half], fault) | _unsound(chosen[half:], fault)
    good = [number for number in chosen if number not in bad]
    if not good or fault(good) is None:
        return bad
    kept: list[int] = []
    for number in good:
        if (why := fault([*kept, number])) is None:
            kept.append(number)
        else:
            bad[number] = why
    return bad
