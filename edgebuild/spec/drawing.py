"""Which examples: some that stand for all, and those that are set aside to choose or to judge by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Mask

# Set aside of `train` where the data brings no validation split: a tenth, and no more than decide any choice here.
_SHARE, _MOST = 0.1, 5000
_STEPS = 16  # of a stream, at least: what adds up in a state should be seen


def set_aside(
    total: int, classes: Array | None = None, seed: int = 0, share: float = _SHARE, most: int | None = _MOST
) -> Mask:
    """Which of the examples [total] are set aside at random, to choose or to judge by: a share of them, no more than
    `most`.

    `classes` [N] are cut in proportion (largest remainders; no class loses its last example), values, which have none,
    at random. ValueError for fewer than two examples.
    """
    import numpy as np

    if total < 2:
        counted = "1 example, and one more is" if total else "no examples, and two are"
        raise ValueError(f"has {counted} needed to choose by")
    rng = np.random.default_rng(seed)
    groups = [] if classes is None else [np.flatnonzero(classes == one) for one in np.unique(classes).tolist()]
    if len(groups) in (0, total):  # values, or one example a class: nothing to be in proportion to
        groups = [np.arange(total)]
    count = min(max(1, round(share * total)), total if most is None else most)
    aside = np.zeros(total, bool)
    for rows, part in zip(groups, _in_proportion([len(rows) for rows in groups], count), strict=True):
        aside[rng.permutation(rows)[:part]] = True
    return aside


def groups_aside(groups: Array, seed: int = 0, share: float = _SHARE, most: int | None = _MOST) -> Mask:
    """Which of the examples are set aside, as `set_aside` has it, where those of one of the groups [total] stay
    together: groups are drawn until they hold the share. ValueError for fewer than two groups.
    """
    import numpy as np

    names, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ValueError("has 1 group, and one more is needed to choose by")
    order = np.random.default_rng(seed).permutation(len(names))[:-1]  # one is left at least
    count = min(max(1, round(share * len(groups))), len(groups) if most is None else most)
    before = np.cumsum(sizes[order]) - sizes[order]
    taken: Mask = np.isin(numbers, order[before < count])
    return taken


def beginnings(streams: Array | None, total: int, most: int) -> Array:
    """The rows of no more than `most` examples that can be gone through in order: equally many first steps of streams.

    streams: the number of the stream of each example, [total]; None where each is one of its own

    Where there are so many streams that less than 16 steps of each would be left, some streams are drawn.
    """
    import numpy as np

    if total <= most:
        return np.arange(total)
    numbers = np.arange(total) if streams is None else streams
    _, first, own, lengths = np.unique(numbers, return_index=True, return_inverse=True, return_counts=True)
    kept = drawn(len(first))[: max(1, most // _STEPS)]
    steps = max(k for k in range(1, most + 1) if np.minimum(lengths[kept], k).sum() <= most or k == 1)
    rows: Array = np.flatnonzero(np.isin(own, kept) & (np.arange(total) - first[own] < steps))
    return rows[:most]


def mask(rows: Array, total: int) -> Mask:
    """[total] bool that is true in these rows."""
    import numpy as np

    chosen = np.zeros(total, bool)
    chosen[rows] = True
    return chosen


def _in_proportion(sizes: list[int], count: int) -> list[int]:
    """`count` shared out among groups of these sizes, each keeping one at least."""
    shares = [size * count / sum(sizes) for size in sizes]
    parts = [min(int(share), size - 1) for share, size in zip(shares, sizes, strict=True)]
    order = sorted(range(len(sizes)), key=lambda group: parts[group] - shares[group])
    for group in order:
        if sum(parts) < count and parts[group] < sizes[group] - 1:
            parts[group] += 1
    return parts


def chosen(total: int, count: int) -> Array:
    """Rows [count] that stand for all `total` examples: the same at every call, and fewer are among those of more.

    Drawn at random, since examples are often sorted by class; all of them, in order, when all are asked for.
    """
    import numpy as np

    return np.arange(total) if count >= total else drawn(total)[:count]


def drawn(total: int) -> Array:
    """All rows [total] in the order in which they are drawn at random: the same at every call."""
    import numpy as np

    order: Array = np.random.default_rng(0).permutation(total)
    return order
