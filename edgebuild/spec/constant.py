"""A constant tensor inside a model file: which bytes are its elements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constant:
    """`count` elements of `width` bytes each, 1, 2, 4 or 8, from byte `start` of the file on."""

    start: int
    count: int
    width: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.start + self.count * self.width

    @classmethod
    def of(cls, start: int, size: int, elements: int) -> Constant:
        """A tensor of `elements` values in `size` bytes; values of less than a byte are taken as bytes."""
        width = size // max(1, elements)
        return (
            cls(start, elements, width) if width in (1, 2, 4, 8) and width * elements == size else cls(start, size, 1)
        )
