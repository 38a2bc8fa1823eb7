"""Lets a model go through streams in order: what it answered to one example comes back with the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from edgebuild.spec import dataset
from edgebuild.spec.signature import Loop

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array

    Sample = tuple[Array, ...]


def through(
    answers: Callable[[Iterable[Sample]], Iterator[Sample]],
    samples: Iterable[Sample],
    streams: Array | None,
    loops: Sequence[Loop],
) -> Iterator[Sample]:
    """What `answers` gives for one sample after another, each with the states that the one before has left.

    `answers` asks for a sample only when the one before is answered. Where `streams` [N] begin, states are `start`.
    """
    last: list[Sample] = []

    def fed() -> Iterator[Sample]:
        first = dataset.starts(streams) if streams is not None else None
        for place, sample in enumerate(samples):
            begins = first is None or bool(first[place])
            inputs = [*sample]
            for loop in loops:
                inputs[loop.input] = _started(sample[loop.input], loop.start) if begins else last[-1][loop.output]
            yield tuple(inputs)

    for answer in answers(fed()):
        last[:] = [answer]
        yield answer


def _started(values: Array, start: float) -> Array:
    import numpy as np

    return np.full_like(values, start)
