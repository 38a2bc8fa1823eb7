"""Lifetimes of the tensors of a graph that is executed operator by operator."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from edgebuild.spec.lifetime import Lifetime

Name = TypeVar("Name", bound=Hashable)


def of_graph(
    operators: Sequence[tuple[Iterable[Name], Iterable[Name]]],
    inputs: Iterable[Name],
    outputs: Iterable[Name],
    sizes: Mapping[Name, int],
) -> tuple[Lifetime, ...]:
    """One for each computed tensor and each input; an operator is (what it takes, what it makes), in order.

    The graph's inputs are never overwritten and its outputs stay to the end, as in TFLite; constants are in no arena.
    """
    end = max(0, len(operators) - 1)
    first = dict.fromkeys(inputs, 0)
    last = dict.fromkeys(first, end)
    for number, (taken, written) in enumerate(operators):
        for name in written:
            first.setdefault(name, number)
            last.setdefault(name, number)
        last |= {name: max(number, last[name]) for name in taken if name in last}
    last |= {name: end for name in outputs if name in last}
    return tuple(Lifetime(sizes[name], first[name], last[name]) for name in first)
