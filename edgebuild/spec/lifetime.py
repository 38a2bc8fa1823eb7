"""When a tensor of a graph is in memory: what a static plan of its memory is made of."""

from __future__ import annotations

from typing import NamedTuple


class Lifetime(NamedTuple):
    """A tensor of so many bytes, needed from the operator `first` to the operator `last`, both included."""

    bytes: int
    first: int
    last: int
