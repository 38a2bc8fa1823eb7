"""Routes a network with an early exit: the exit answers where it is sure, else the rest goes on from its features.

This file travels in bundles: Python 3.9 and numpy, nothing of edgebuild.
"""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, Sequence, Tuple

if __package__:
    from . import route_cascade
else:
    import route_cascade  # type: ignore[import-not-found,no-redef]

Array = Any
Part = Callable[[Sequence[Array]], Sequence[Array]]


def answer(rule: Mapping[str, float], parts: Sequence[Part], values: Sequence[Array]) -> Sequence[Array]:
    """The whole's outputs for a batch of one; the first part gives them and the features, the second goes on."""
    *answers, features = parts[0](values)
    if bool(route_cascade.sure(rule, answers).all()):
        return answers
    return parts[1]([features])


def combined(rule: Mapping[str, float], answers: Sequence[Sequence[Array]]) -> Tuple[List[Array], Array]:
    """The whole's outputs for all examples, and which parts ran for each, [N, 2] bool."""
    return route_cascade.combined(rule, [answers[0][:-1], answers[1]])
