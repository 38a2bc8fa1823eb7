"""Goes through all recipes of a space, each once, where they can be counted."""

from __future__ import annotations

from collections.abc import Sequence

from edgebuild.spec.space import Domain, Json, Space, text


def every(space: Space, most: int) -> list[dict[str, Json]] | None:
    """The values of all recipes of the space, each once; None where they are more than `most`, or not countable."""
    if any(domain.every() is None for domain in space.dimensions().values()):
        return None
    recipes: dict[str, dict[str, Json]] = {}
    path: list[int] = []  # which value each dimension has, in the order in which they are asked for
    for _ in range(_WALKS * most):
        walk = _Walk(path)
        recipes.setdefault(text(space.recipe(walk.draw)), walk.values)
        if len(recipes) > most:
            return None
        following = walk.next()
        if following is None:
            return [*recipes.values()]
        path = following
    return None


_WALKS = 64  # values may differ where recipes do not: of orders in which some steps are left out


class _Walk:
    """One way through all dimensions that a recipe asks for: the values on `path`, then the first of each."""

    def __init__(self, path: Sequence[int]) -> None:
        self.values: dict[str, Json] = {}
        self._path, self._sizes = [*path], list[int]()

    def draw(self, name: str, domain: Domain) -> Json:
        """The value of the next dimension."""
        values, place = domain.every() or (), len(self._sizes)
        self._sizes.append(len(values))
        if place == len(self._path):
            self._path.append(0)
        self.values[name] = values[self._path[place]]
        return self.values[name]

    def next(self) -> list[int] | None:
        """The path that comes after this one; None where it is the last."""
        path = self._path[: len(self._sizes)]
        while path and path[-1] + 1 >= self._sizes[len(path) - 1]:
            path.pop()
        return [*path[:-1], path[-1] + 1] if path else None
