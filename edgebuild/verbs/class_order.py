"""Tells from answers and labels that a model has its classes in another order than was declared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array

_EXAMPLES, _OF_EACH = 20, 5  # at least, in all and of a class in the mean: fewer are paired by chance
_RIGHT = 0.8  # of the examples, in the other order


def other(choices: Array, labels: Array, classes: Sequence[str]) -> tuple[tuple[str, ...], int] | None:
    """The order in which nearly all answers would be right, and how many, where in the declared one few are.

    choices, labels: numbers of classes, [N]; each class is given the name of those that are mostly answered with it
    """
    import numpy as np

    count, examples = len(classes), len(labels)
    if labels.ndim != 1 or examples < max(_EXAMPLES, _OF_EACH * count):
        return None
    met = np.zeros((count, count), np.int64)  # [answered, labelled]
    np.add.at(met, (choices.astype(np.int64), labels.astype(np.int64)), 1)
    names, right, before = met.argmax(1), int(met.max(1).sum()), int(np.trace(met))
    if len({*names.tolist()}) < count or right < max(_RIGHT * examples, 2 * before):
        return None
    return tuple(classes[name] for name in names), right
