"""A value of the graph as channel numbers, an array for each axis; and how operators that move data move them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.prune.trace.numbers import PADDED, Numbers

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.nn.prune.trace.numbers import Ids

PLACES = "an axis of places"


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """Numbers of each axis, as many as the axis is long.

    constant: the values themselves, where the graph fixes them and they may serve as indices; None otherwise
    parameter: its name, where it is a parameter or buffer, or made of that alone
    maker: the weight of the layer that has just made it
    """

    axes: tuple[Ids, ...]
    constant: Tensor | None = None
    parameter: str | None = None
    maker: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return tuple(len(axis) for axis in self.axes)


def moved(numbers: Numbers, value: Value, run: Callable[[Tensor], Any], where: str) -> list[Value]:
    """The results of an operator that only moves data, found by running it on tensors of channel numbers.

    Each axis by itself: the operator takes a tensor that holds, in every element, the number of the element's index on
    that axis. Where one axis of a result tells the numbers, it has them; where it takes several, the axis was split.
    """
    import torch

    results: list[list[list[Ids]]] = []
    shapes: list[tuple[int, ...]] = []
    for axis, ids in enumerate(value.axes):
        carries = not numbers.all_protected(ids)
        if not carries and (axis < len(value.axes) - 1 or results):
            continue
        shape = [1] * axis + [len(ids)] + [1] * (len(value.axes) - axis - 1)
        output = run(torch.from_numpy(numbers.find(ids)).double().view(shape).expand(value.shape).contiguous())
        tables = [output] if isinstance(output, torch.Tensor) else list(output)
        if not results:
            results, shapes = [[[] for _ in table.shape] for table in tables], [tuple(t.shape) for t in tables]
        if carries:
            for result, table in zip(results, tables, strict=True):
                for place, column in _placed(numbers, table.long().numpy(), where):
                    result[place].append(column)
    if not value.axes:
        output = run(torch.zeros((), dtype=torch.float64))
        shapes = [tuple(t.shape) for t in ([output] if isinstance(output, torch.Tensor) else output)]
        results = [[[] for _ in shape] for shape in shapes]
    kind = _kind(numbers, value)
    return [
        Value(
            tuple(_axis(numbers, columns, size, kind) for columns, size in zip(result, shape, strict=True)),
            parameter=value.parameter,
        )
        for result, shape in zip(results, shapes, strict=True)
    ]


def _kind(numbers: Numbers, value: Value) -> str:
    """What an axis is called that none of a value's numbers is on: what the whole value is, a constant or an input."""
    kinds = {numbers.kind(axis) for axis in value.axes if len(axis) > 1}
    (kind,) = kinds if len(kinds) == 1 else (None,)
    return kind or PLACES


def _axis(numbers: Numbers, columns: Sequence[Ids], size: int, kind: str) -> Ids:
    if not columns:
        return numbers.fixed("an axis of one" if size == 1 else kind, size)
    return columns[0] if len(columns) == 1 else numbers.compose(columns)


def _placed(numbers: Numbers, table: Ids, where: str) -> list[tuple[int, Ids]]:
    """Which axes of a result carry the numbers in this table, and the numbers there."""
    import numpy as np

    if table.size == 0 or not table.any():
        return []
    most = np.iinfo(table.dtype).max
    least = np.where(table == PADDED, most, table)
    for axis in range(table.ndim):
        others = tuple(k for k in range(table.ndim) if k != axis)
        low, high = least.min(others), table.max(others)
        if ((low == high) | (high == PADDED)).all():
            if (high[high != PADDED] == high.max()).all():  # nothing tells them apart any more
                numbers.protect(high[high != PADDED], f"{where} takes one of several")
                return []
            padding = numbers.fixed("zeros that fill channels up", 1)
            return [(axis, np.where(high == PADDED, padding, high))]
    return _split(numbers, table, least, where)


def _split(numbers: Numbers, table: Ids, least: Ids, where: str) -> list[tuple[int, Ids]]:
    """The axes that only together tell the numbers; each gets numbers of its own, of which those are made."""
    varying = [k for k in range(table.ndim) if (least.min(k) < table.max(k)).any()]
    small = table.max(tuple(k for k in range(table.ndim) if k not in varying))
    axes = [numbers.fresh(table.shape[k]) for k in varying]
    numbers.factor(small, axes, where)
    return [*zip(varying, axes, strict=True)]
