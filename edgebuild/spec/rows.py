"""Examples: in memory, or on disk, whose rows become the model's input as they are read.

Pixels, halves and small whole numbers stay on disk as they came; `Column` alone knows what becomes of them, so that
training, calibration and judging see the same, which is what a bundle's `run.py` makes of the same picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]
    Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]  # [N], of examples


@dataclass(frozen=True, slots=True)
class Form:
    """What an input is when it is read: its element type, and of pixels how they are scaled (`prepare_image.scale`)."""

    dtype: str
    scale: Mapping[str, Any] | None = None

    def of(self, stored: Array) -> Array:
        """Some rows [n, …] of what is on disk as the model takes them."""
        import numpy as np

        if self.scale is None:
            return np.asarray(stored, self.dtype)
        from edgebuild.travels import prepare_image

        values: Array = prepare_image.scale(np.asarray(stored), self.scale).astype(self.dtype, copy=False)
        return values


class Rows(Protocol):
    """Examples of one input, [N, …]; only what is asked for is in memory, so nobody asks for all."""

    __slots__ = ()

    def __len__(self) -> int:
        """The number of examples."""

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, …] of what is read."""
        return (len(self), *self[:1].shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is read."""
        return self[:1].dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """All of them in memory, for sets that are known to be small."""
        import numpy as np

        return np.asarray(self[:], dtype)

    def __getitem__(self, rows: slice | Array) -> Array:
        """The examples in these rows, as the model takes them."""


@dataclass(frozen=True, slots=True)
class Column(Rows):
    """Examples of one input as they are on disk, read as the model takes them."""

    stored: Array
    form: Form

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.stored)

    def __getitem__(self, rows: slice | Array) -> Array:
        """Those in these rows, [n, …], in memory."""
        return self.form.of(self.stored[rows])


@dataclass(frozen=True, slots=True)
class Chosen(Rows):
    """Some rows of an input, in an order of their own, which are read when they are asked for."""

    values: Rows
    rows: Array

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.rows)

    def __getitem__(self, rows: slice | Array) -> Array:
        """Those in these of its rows."""
        return self.values[self.rows[rows]]


@dataclass(frozen=True, slots=True)
class Joined(Rows):
    """The examples of one input, followed by those of another."""

    first: Rows
    second: Rows

    def __len__(self) -> int:
        """The number of both."""
        return len(self.first) + len(self.second)

    def __getitem__(self, rows: slice | Array) -> Array:
        """Those in these rows, in their order."""
        import numpy as np

        positions = np.arange(len(self))[rows]
        late = positions >= len(self.first)
        parts = [self.first[positions[~late]], self.second[positions[late] - len(self.first)]]
        values: Array = np.concatenate(parts)
        order = np.concatenate([np.flatnonzero(~late), np.flatnonzero(late)])
        return values[np.argsort(order)]


@dataclass(frozen=True, slots=True)
class Split:
    """Some examples in memory: `inputs[k]` is [N, …] for the model's input k, `labels[k]` for its head k.

    Labels are what the head's task says: [N] int64 with the number of each example's class, or [N, …] float32 with its
    target values.
    """

    inputs: tuple[Array, ...]
    labels: tuple[Array, ...]

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.inputs[0])

    def take(self, rows: slice | Array) -> Split:
        """The examples in these rows."""
        return Split(tuple(x[rows] for x in self.inputs), tuple(y[rows] for y in self.labels))


@dataclass(frozen=True, slots=True)
class Stored:
    """A split on disk, which may be larger than memory; `inputs` and `labels` as those of a `Split`."""

    inputs: tuple[Rows, ...]
    labels: tuple[Array, ...]

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.inputs[0])

    def take(self, rows: slice | Array) -> Split:
        """The examples in these rows, read into memory."""
        import numpy as np

        return Split(tuple(x[rows] for x in self.inputs), tuple(np.array(y[rows]) for y in self.labels))

    def singly(self) -> Iterator[tuple[Array, ...]]:
        """One example after another, its inputs [1, …]."""
        return singly(self.inputs)


def singly(inputs: tuple[Rows, ...]) -> Iterator[tuple[Array, ...]]:
    """One example after another, its inputs [1, …]."""
    for row in range(len(inputs[0])):
        yield tuple(values[row : row + 1] for values in inputs)
