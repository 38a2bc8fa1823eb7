"""What examples have in common, such as the person who was recorded: nobody is in two splits, and groups are judged as
one each.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]


def numbered(groups: Any, counts: Mapping[str, int]) -> dict[str, Values]:
    """The number of each example's group, int64 [N] by split, of names or numbers [N] by split.

    ValueError for splits without, for other lengths, and for a group of two splits.
    """
    import numpy as np

    if not isinstance(groups, Mapping) or {*groups} != {*counts}:
        raise ValueError(f"'groups' must have an array for each of {', '.join(counts)}")
    texts = {split: np.asarray(groups[split]).astype(str) for split in counts}
    for split, names in texts.items():
        if names.shape != (counts[split],):
            reason = f"{counts[split]} names or numbers, one for each example, not {list(names.shape)}"
            raise ValueError(f"groups of split {split!r} must be {reason}")
    own = {split: {*names.tolist()} for split, names in texts.items()}
    for one, other in combinations(own, 2):
        if shared := sorted(own[one] & own[other]):
            reason = f"the group {shared[0]!r} is in split {one!r} and in {other!r}"
            raise ValueError(f"{reason}: those of one are alike, and would be judged by what was learnt of them")
    places = {name: place for place, name in enumerate(sorted(set().union(*own.values())))}
    return {split: np.array([places[name] for name in names], np.int64) for split, names in texts.items()}
