"""How the elements of a tensor become streams of bytes: what is kept and the gaps between, by codebook or by byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.travels.decoder import CODEBOOK, SPARSE

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

WIDEST_GAP, LARGEST_BOOK = 255, 256
_WORTH_GAPS, _ONLY_GAPS = 0.5, 0.9  # shares of the most common value from which on gaps are tried, and nothing else


@dataclass(frozen=True, slots=True)
class Layout:
    """A tensor as streams: `flags` and `values` as the decoder takes them, `kept` elements in each stream."""

    flags: int
    kept: int
    values: Array
    streams: tuple[Array, ...]


def layouts(elements: Array) -> Iterator[Layout]:
    """The ways to lay out `elements`, unsigned integers that stand for the tensor's bits, that may be the smallest."""
    import numpy as np

    values, index, counts = np.unique(elements, return_inverse=True, return_counts=True)
    common = int(counts.argmax())
    share, small = counts[common] / len(elements), len(values) <= LARGEST_BOOK
    # The most common value leads: it is what a sparse tensor has where nothing is kept.
    order = np.concatenate([[common], np.delete(np.arange(len(values)), common)])
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    numbers = rank[index].astype(np.uint8)
    if share <= _ONLY_GAPS:
        yield Layout(0, len(elements), values[:0], planes(elements))
    if small and share <= _ONLY_GAPS:
        yield Layout(CODEBOOK, len(elements), values[order], (numbers,))
    if share > _WORTH_GAPS:
        kept, gaps = sparse(index != common)
        yield Layout(SPARSE, len(kept), values[order[:1]], (gaps, *planes(elements[kept])))
        if small:
            yield Layout(SPARSE | CODEBOOK, len(kept), values[order], (gaps, numbers[kept]))


def sparse(present: Array) -> tuple[Array, Array]:
    """Positions that are kept, and for each the number of positions left out before it, at most 255.

    After 255 in a row a position is kept although nothing is there (Han et al. 2016, figure 2).
    """
    import numpy as np

    positions = np.flatnonzero(present)
    gaps = np.diff(positions, prepend=-1) - 1
    fillers = gaps // (WIDEST_GAP + 1)
    before = np.repeat(positions - gaps, fillers)  # where the long gaps begin
    order = np.arange(len(before)) - np.repeat(np.cumsum(fillers) - fillers, fillers)
    kept = np.sort(np.concatenate([positions, before + (WIDEST_GAP + 1) * order + WIDEST_GAP]))
    return kept, (np.diff(kept, prepend=-1) - 1).astype(np.uint8)


def planes(elements: Array) -> tuple[Array, ...]:
    """The first byte of every element, the second of every element, …: those of floats differ in their statistics."""
    import numpy as np

    table = np.ascontiguousarray(elements).view(np.uint8).reshape(len(elements), elements.itemsize)
    return tuple(np.ascontiguousarray(column) for column in table.T)
