"""What goes of every axis, once it is chosen which numbers go: asked of all axes of a network, in many trials."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgebuild.nn.prune.trace.numbers import Ids, Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Fate:
    """Of the numbers of a network, `goes[number]` says of each representative whether it goes."""

    numbers: Numbers
    goes: NDArray[np.bool_]

    def places(self, ids: Ids) -> Ids:
        """The indices of an axis that go."""
        import numpy as np

        return np.flatnonzero(self.goes[self.numbers.find(ids)])

    def rest(self, ids: Ids) -> Ids:
        """An axis without what goes of it."""
        return ids[~self.goes[self.numbers.find(ids)]]


def fate(numbers: Numbers, gone: Collection[int]) -> Fate:
    """What goes with these numbers, none of which is made of others."""
    import numpy as np

    goes = np.zeros(numbers.count, dtype=np.bool_)
    above = numbers.above()
    waiting = [number for number in gone if numbers.atoms(number) == {number}]
    while waiting:
        number = waiting.pop()
        if not goes[number]:
            goes[number] = True
            waiting += above.get(number, ())
    return Fate(numbers, goes)
