"""Examples on their way to disk: each block of rows is checked against the declaration, converted and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.spec import dataset
from edgebuild.spec.data import Blocks
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.spec.dataset import Mask

    Values = np.ndarray[Any, Any]

_ROWS = 4096  # of an array in memory that are checked and converted at a time


@dataclass(frozen=True, slots=True)
class Pair:
    """Inputs by position, arrays or Blocks, all [N, …], with the labels of each head."""

    inputs: tuple[Values | Blocks, ...]
    labels: tuple[Values, ...]


def mistake(inputs: Sequence[Values | Blocks], specs: Sequence[TensorSpec], examples: int) -> str | None:
    """What is wrong with shapes and types of a split's inputs, in words that follow its name; None when nothing is."""
    import numpy as np

    if len(inputs) != len(specs):
        return f"has {len(inputs)} inputs, the model declares {len(specs)}"
    for values, spec in zip(inputs, specs, strict=True):
        if values.shape != (examples, *spec.shape):
            told = f"has shape {list(values.shape)}; declared and labelled are {[examples, *spec.shape]}"
            return f"input {spec.name!r} {told}"
        declared = np.dtype(spec.dtype)
        if values.dtype.kind not in ("fiu" if declared.kind == "f" else "iu"):
            return f"input {spec.name!r} has elements of type {values.dtype}, declared are {declared}"
    return None


def keep(
    folder: Path,
    inputs: Sequence[Values | Blocks],
    specs: Sequence[TensorSpec],
    rows: Mapping[str, Mask | None],
) -> str | None:
    """Write the rows of each split by its name, all of them for None; the first wrong value in words, as `mistake`."""
    for position, (values, spec) in enumerate(zip(inputs, specs, strict=True)):
        counts = {name: len(mask.nonzero()[0]) if mask is not None else values.shape[0] for name, mask in rows.items()}
        rooms = {
            name: dataset.room(folder, name, position, (count, *spec.shape), spec.dtype)
            for name, count in counts.items()
        }
        if wrong := _fill(rooms, values, spec, rows):
            return f"input {spec.name!r} {wrong}"
    return None


def _fill(
    rooms: Mapping[str, Values], values: Values | Blocks, spec: TensorSpec, rows: Mapping[str, Mask | None]
) -> str | None:
    start, written = 0, dict.fromkeys(rooms, 0)
    for block in _blocks(values):
        if wrong := _wrong(block, spec, start):
            return wrong
        for name, room in rooms.items():
            mask = rows[name]
            part = block if mask is None else block[mask[start : start + len(block)]]
            room[written[name] : written[name] + len(part)] = part
            written[name] += len(part)
        start += len(block)
    return None if start == values.shape[0] else f"gave {start} of {values.shape[0]} examples"


def _blocks(values: Values | Blocks) -> Iterator[Values]:
    if isinstance(values, Blocks):
        yield from values.blocks()
        return
    for start in range(0, len(values), _ROWS):
        yield values[start : start + _ROWS]


def _wrong(block: Values, spec: TensorSpec, start: int) -> str | None:
    import numpy as np

    if block.shape[1:] != spec.shape:
        return f"has an example of shape {list(block.shape[1:])} at {start}; declared is {list(spec.shape)}"
    declared = np.dtype(spec.dtype)
    limits = np.finfo(declared) if declared.kind == "f" else np.iinfo(declared)
    good = (block >= limits.min) & (block <= limits.max)  # NaN is neither
    if good.all():
        return None
    first = start + int(np.argwhere(~good)[0][0])
    return f"has NaN, infinite or too large values for {declared}, first in example {first}"
