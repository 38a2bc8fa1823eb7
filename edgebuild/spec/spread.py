"""The ends of a tensor's values, and whether some of them stand for "no value", as in an attention mask."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.spec.quantization import NO_RANGE, Range

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# Masks hold -1e4 (what float16 bears) and more, a score added to it. Only beyond this may a value stand for none.
FAR = 9e3
# Beyond it a value is an infinity, or the float32 minimum that stands in its place.
_INFINITE = 3e38
# How many times larger than all others such values are: in their range the others would share three of 256 levels.
_APART = 100.0
# Below it the step of 8 bits, times that of a weight, is no float32 any more.
_NOTHING = 1e-30
_NAMED = 3


@dataclass(slots=True)
class Spread:
    """What was seen of one tensor: the ends of its values nearer than FAR, and of those beyond; both hold 0."""

    low: float = 0.0
    high: float = 0.0
    far_low: float = 0.0
    far_high: float = 0.0
    nearest: float = math.inf  # the least magnitude of those beyond
    infinite: bool = False

    @classmethod
    def of(cls, values: Array) -> Spread:
        """That of these values."""
        spread = cls()
        spread.add(values)
        return spread

    def add(self, values: Array) -> None:
        """See more values; none may be NaN."""
        import numpy as np

        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        if low > -FAR and high < FAR:
            self.low, self.high = min(self.low, low), max(self.high, high)
            return
        size = np.abs(values)
        far = values[(size >= FAR) & (size < _INFINITE)]
        self.infinite |= bool((size >= _INFINITE).any())
        self.nearest = min(self.nearest, float(np.abs(far).min(initial=math.inf)))
        self.far_low = min(self.far_low, float(far.min(initial=0.0)))
        self.far_high = max(self.far_high, float(far.max(initial=0.0)))
        self.add(values[size < FAR])

    @property
    def masked(self) -> bool:
        """Whether some values stand for none: infinities, or values that dwarf all others."""
        others = max(-self.low, self.high)
        return self.infinite or 0 < others * _APART <= self.nearest < math.inf

    @property
    def ends(self) -> Range:
        """The least and the greatest value that stands for one, and 0; (0, 0) where all are next to nothing."""
        low, high = self.low, self.high
        if not 0 < max(-low, high) * _APART <= self.nearest:
            low, high = min(low, self.far_low), max(high, self.far_high)
        return (low, high) if max(-low, high) > _NOTHING else (0.0, 0.0)


def stands_for_none(values: Array) -> bool:
    """Whether a constant is made of nothing but 0 and values that a mask holds."""
    import numpy as np

    size = np.abs(values[values != 0])
    return bool(size.size and size.min() >= FAR)


def remarks(ranges: Mapping[str, Range]) -> list[str]:
    """Lines about the tensors that calibration says nothing of."""
    still = [name for name, ends in ranges.items() if ends == (0.0, 0.0)]
    masked = [name for name, ends in ranges.items() if ends == NO_RANGE]
    lines = [unmoved("tensors", still)] if still else []
    if masked:
        lines.append(f'values that stand for "no value" are in {shown(masked)}: the operators on them stay float')
    return lines


def unmoved(what: str, names: Sequence[str]) -> str:
    """The line about what is 0 in all calibration examples."""
    line = f"0 in all calibration examples are the {what} {shown(names)}"
    return f"{line}: exact at any scale, but give examples that reach them if they are to move"


def shown(names: Sequence[str]) -> str:
    """A few of the names."""
    more = len(names) - _NAMED
    return ", ".join(map(repr, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")
