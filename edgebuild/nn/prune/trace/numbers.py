"""Channel numbers: which channels go together, which are made of two choices (head and place), and which never go.

A number stands for "this index of this axis goes". Numbers that must go together are united (union-find). Where an
axis is split into several, a number is defined by its parts, one of each new axis: it goes when any of its parts goes,
for what is left of an axis must be the same in every row. Every rule here is sound in one direction: where two
definitions do not fit each other, more is united than would be needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]

PADDED = 0  # not a number: what operators fill in where nothing comes from anywhere


class Numbers:
    """All numbers of one network; what is protected never goes, and knows why."""

    def __init__(self) -> None:
        import numpy as np

        self._parent = np.arange(1024, dtype=np.int64)
        self._count = 1
        self._parts: dict[int, tuple[int, ...]] = {}
        self._above: dict[int, list[int]] | None = None  # what is made of each, until that changes
        self._composed: dict[tuple[int, ...], int] = {}
        self._why: dict[int, str] = {}
        self._kinds: dict[str, int] = {}
        self.families: list[Ids] = []  # axes that others were split into

    def fresh(self, count: int) -> Ids:
        """New numbers for an axis of this length; the only index of an axis never goes."""
        import numpy as np

        if count == 1:
            return self.fixed("an axis of one", 1)
        first, self._count = self._count, self._count + count
        while self._count > len(self._parent):
            self._parent = np.concatenate([self._parent, np.arange(len(self._parent), 2 * len(self._parent))])
        return np.arange(first, self._count, dtype=np.int64)

    def fixed(self, kind: str, count: int) -> Ids:
        """An axis of numbers that never go; `kind` says what it is, for reasons: "it meets <kind> in …"."""
        import numpy as np

        if kind not in self._kinds:
            self._kinds[kind] = int(self._count)
            self.fresh(2)
            self._why[self._kinds[kind]] = kind
        return np.full(count, self._kinds[kind], dtype=np.int64)

    def kind(self, ids: Ids) -> str | None:
        """What `fixed` was told of an axis, where all of it is of one kind."""
        roots = {*self.find(ids).tolist()}
        return next((kind for kind, number in self._kinds.items() if roots == {self.root(number)}), None)

    @property
    def count(self) -> int:
        """All numbers are less than this."""
        return self._count

    def find(self, ids: Ids) -> Ids:
        """The representative of each number."""
        roots = self._parent[ids]
        while not ((above := self._parent[roots]) == roots).all():
            roots = above
        self._parent[ids] = roots
        return roots

    def root(self, number: int) -> int:
        """The representative of one number."""
        while (above := int(self._parent[number])) != number:
            number = above
        return number

    def unite(self, one: Ids, other: Ids, where: str) -> None:
        """Index k of one axis goes exactly when index k of the other does."""
        import numpy as np

        if one is other:
            return
        first, second = self.find(one), self.find(other)
        differ = first != second
        for pair in np.unique(np.stack([first[differ], second[differ]], 1), axis=0).tolist():
            self._join(pair[0], pair[1], where)

    def protect(self, ids: Ids, why: str) -> None:
        """These never go."""
        for number in {*self.find(ids).tolist()}:
            self._protect(number, why)

    def factor(self, table: Ids, axes: Sequence[Ids], where: str) -> None:
        """Element [i, j, …] of the table goes exactly when index i of the first axis, j of the second … goes."""
        import numpy as np

        self.families += axes
        for place in np.argwhere(table != PADDED).tolist():
            parts = tuple(int(axis[k]) for axis, k in zip(axes, place, strict=True))
            self._define(int(table[tuple(place)]), parts, where)

    def compose(self, columns: Sequence[Ids]) -> Ids:
        """Numbers that go when any of the numbers in the same row goes."""
        import numpy as np

        rows = np.stack([self.find(column) for column in columns], 1)
        unique, back = np.unique(rows, axis=0, return_inverse=True)
        composites = [self._composition(tuple(row)) for row in unique.tolist()]
        return np.asarray(composites, dtype=np.int64)[back.reshape(-1)]

    def is_protected(self, number: int) -> bool:
        """Whether a representative never goes."""
        return self.why(number) is not None

    def why(self, number: int) -> str | None:
        """Why a number never goes; None when it may."""
        number = self.root(number)
        if number in self._why:
            return self._why[number]
        parts = self._parts.get(number)
        reasons = [self.why(part) for part in parts] if parts else [None]
        return reasons[0] if all(reason is not None for reason in reasons) else None

    def all_protected(self, ids: Ids) -> bool:
        """Whether none of these can go."""
        return all(self.is_protected(number) for number in {*self.find(ids).tolist()})

    def atoms(self, number: int) -> frozenset[int]:
        """The representatives of which any makes this one go; empty for what never goes."""
        number = self.root(number)
        if number in self._why:
            return frozenset()
        parts = self._parts.get(number)
        if parts is None:
            return frozenset([number])
        return frozenset().union(*(self.atoms(part) for part in parts))

    def above(self) -> Mapping[int, Sequence[int]]:
        """Of each representative those of which it is a part."""
        if self._above is None:
            self._above = {}
            for number, parts in self._parts.items():
                for part in parts:
                    self._above.setdefault(self.root(part), []).append(number)
        return self._above

    def _composition(self, row: tuple[int, ...]) -> int:
        kept = tuple(number for number in row if not self.is_protected(number)) or row[:1]
        if len({*kept}) == 1:
            return kept[0]
        if kept not in self._composed:
            (composite,) = self.fresh(2)[:1].tolist()
            self._parts[composite], self._above = kept, None
            self._composed[kept] = composite
        return self._composed[kept]

    def _join(self, one: int, other: int, where: str) -> None:
        one, other = self.root(one), self.root(other)
        if one == other:
            return
        if one in self._why or other in self._why:
            for number, fixed in ((one, other), (other, one)):
                if number not in self._why:
                    self._protect(number, self._meeting(fixed, where))
            return
        one, other = min(one, other), max(one, other)
        here, there = self._parts.pop(one, None), self._parts.pop(other, None)
        self._parent[other], self._above = one, None
        if here:
            self._define(one, here, where)
        if there:
            self._define(one, there, where)

    def _meeting(self, fixed: int, where: str) -> str:
        why = self._why[fixed]
        return f"it meets {why} in {where}" if fixed in self._kinds.values() else why

    def _protect(self, number: int, why: str) -> None:
        number = self.root(number)
        if number in self._why:
            return
        self._why[number] = why
        for part in self._parts.pop(number, ()):
            self._protect(part, why)

    def _define(self, number: int, parts: tuple[int, ...], where: str) -> None:
        """The number goes when any of the parts does. Both directions hold where it was defined before."""
        number = self.root(number)
        if number in self._why:
            for part in parts:
                self._protect(part, self._meeting(number, where))
            return
        parts = tuple(part for part in parts if not self.is_protected(part)) or parts[:1]  # those alone decide
        if len(parts) == 1:
            self._join(number, parts[0], where)
        elif number in self._reached(parts):
            self._collapse([number, *parts], where)
        elif number not in self._parts:
            self._parts[number], self._above = parts, None
        elif len(self._parts[number]) == len(parts):
            for here, there in zip(self._parts[number], parts, strict=True):
                self._join(here, there, where)
        else:
            self._reconcile(number, parts, where)

    def _reconcile(self, number: int, parts: tuple[int, ...], where: str) -> None:
        """Two definitions of unlike length: equal where what never goes makes the difference, else all one number."""
        before = self._parts[number]
        ours, theirs = ([part for part in each if not self.is_protected(part)] for each in (before, parts))
        if len(ours) == len(theirs):
            for here, there in zip(ours, theirs, strict=True):
                self._join(here, there, where)
        else:
            self._collapse([number, *before, *parts], where)

    def _reached(self, parts: Iterable[int]) -> set[int]:
        seen: set[int] = set()
        waiting = [self.root(part) for part in parts]
        while waiting:
            number = waiting.pop()
            if number not in seen:
                seen.add(number)
                waiting += [self.root(part) for part in self._parts.get(number, ())]
        return seen

    def _collapse(self, members: Sequence[int], where: str) -> None:
        """One number for all of these and their parts."""
        every = sorted(self._reached(members))
        for number in every:
            self._parts.pop(number, None)
        for number in every[1:]:
            self._join(every[0], number, where)
