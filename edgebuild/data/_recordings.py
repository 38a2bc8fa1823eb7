"""Recordings of sensors: which windows there are, what each is labelled and belongs to, and samples, in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from edgebuild.data import _sheet
from edgebuild.data._sheet import Sheet
from edgebuild.spec.preprocess import WindowInput

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.data._sheet import Wrong

    Values = np.ndarray[Any, Any]

_WINDOWS = 256  # that memory holds at a time


@dataclass(frozen=True, slots=True)
class Cut:
    """The windows of a file: the row where each starts, int64 [n], and words by key, [n] each, of its last sample.

    What `steady` names is the same in all samples of a window.
    """

    starts: Values
    words: Mapping[str, list[str]]


def cut(sheet: Sheet, named: Mapping[str, str], steady: Sequence[str], length: int, stride: int) -> Cut:
    """Windows of `length` samples every `stride`, none beyond a change of what is `steady`.

    named: columns by key; a stretch of samples in which the steady ones stay is cut from its first sample on
    """
    import numpy as np

    columns = [*named.values()] or [*sheet.columns][:1]  # one at least, which says how many rows there are
    cells = _sheet.whole(sheet, columns)
    total = len(cells[0])
    words = {key: np.array(_sheet.words(own)) for key, own in zip(named, cells, strict=False)}
    changed = np.zeros(total, bool)
    for key in steady:
        changed[1:] |= words[key][1:] != words[key][:-1]
    edges = [0, *np.flatnonzero(changed).tolist(), total]
    starts = [start for first, end in pairwise(edges) for start in range(first, end - length + 1, stride)]
    rows = np.array(starts, np.int64)
    return Cut(rows, {key: values[rows + length - 1].tolist() for key, values in words.items()})


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of several files as Blocks: of each sheet those that start at these rows, in order."""

    files: Sequence[tuple[Sheet, Values]]
    how: WindowInput
    wrong: Wrong

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, …]."""
        return (sum(len(starts) for _, starts in self.files), *self.how.stored[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the model's input."""
        import numpy as np

        return np.dtype(self.how.stored[1])

    def blocks(self) -> Iterator[Values]:
        """File by file, each read once from its start to its end."""
        from edgebuild.travels import prepare_window

        how = self.how.json()
        for sheet, starts in self.files:
            for windows in self._of(sheet, starts):
                yield prepare_window.several(windows, how)

    def _of(self, sheet: Sheet, starts: Values) -> Iterator[Values]:
        """Samples [n, length, signals] of one file."""
        import numpy as np

        length, first, done = self.how.length, 0, 0
        held = np.zeros((0, len(self.how.signals)))
        for samples in self._samples(sheet):
            held = np.concatenate([held, samples])
            ready = done + int(np.searchsorted(starts[done:], first + len(held) - length, "right"))
            for begin in range(done, ready, _WINDOWS):
                rows = starts[begin : min(begin + _WINDOWS, ready), None] - first + np.arange(length)
                yield held[rows]
            done = ready
            if done == len(starts):
                return
            kept = max(int(starts[done]) - first, 0)
            held, first = held[kept:], first + min(kept, len(held))

    def _samples(self, sheet: Sheet) -> Iterator[Values]:
        """All signals [n, signals], some rows at a time."""
        import numpy as np

        row = 0
        for cells in sheet.blocks(self.how.signals):
            rows = np.arange(row, row + len(cells[0]))
            each = [
                _sheet.numbers(sheet, name, own, rows, self.wrong)
                for name, own in zip(self.how.signals, cells, strict=True)
            ]
            if any(values.ndim > 1 for values in each):
                raise self.wrong(f"{sheet.place(row)} has a list where a signal has one number a sample")
            yield np.stack(each, 1)
            row += len(rows)


def taken(files: Sequence[tuple[Sheet, Values]], mask: Values) -> list[tuple[Sheet, Values]]:
    """Those of the windows of all files, one after another, that a mask [N] names."""
    parts, start = [], 0
    for sheet, starts in files:
        parts.append((sheet, starts[mask[start : start + len(starts)]]))
        start += len(starts)
    return parts
