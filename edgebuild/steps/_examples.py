"""Examples on their way to disk: each block of rows is checked against the declaration, converted and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.spec import dataset
from edgebuild.spec.data import Blocks, Placed
from edgebuild.spec.preprocess import Preprocess
from edgebuild.spec.rows import Form
from edgebuild.spec.signature import Signature, TensorSpec

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.spec.rows import Mask

    Values = np.ndarray[Any, Any]

_BYTES = 2**24  # of an array that are checked and converted at a time


@dataclass(frozen=True, slots=True)
class Pair:
    """Inputs by position, arrays or Blocks, all [N, …], with the labels of each head."""

    inputs: tuple[Values | Blocks, ...]
    labels: tuple[Values, ...]


@dataclass(frozen=True, slots=True)
class Intake:
    """Examples of one input on their way: what `how` prepares where that is what comes, else values as declared."""

    values: Values | Blocks
    spec: TensorSpec
    how: Preprocess | None = None

    @property
    def raw(self) -> bool:
        """Whether `how` is yet to be followed."""
        return self.how is not None and self.how.raw(tuple(self.values.shape), self.values.dtype, self.spec)

    @property
    def fitted(self) -> bool:
        """Whether these are what `how` makes of them, as a data set keeps it."""
        if self.how is None:
            return False
        shape, dtype = self.how.stored
        return tuple(self.values.shape[1:]) == shape and self.values.dtype == dtype and self.how.scale is not None

    @property
    def form(self) -> Form:
        """What becomes of it when it is read."""
        scaled = self.how is not None and (self.raw or self.fitted)
        return Form(self.spec.dtype, self.how.scale if self.how is not None and scaled else None)

    @property
    def stored(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape of one example on disk, and the element type: as it came where that is smaller and loses nothing."""
        import numpy as np

        if self.how is not None and (self.raw or self.fitted):
            shape, kept = self.how.stored
            return shape, np.dtype(kept)
        own, declared = np.dtype(self.values.dtype).newbyteorder("="), np.dtype(self.spec.dtype)
        smaller = own.itemsize < declared.itemsize and np.can_cast(own, declared, "safe")
        return self.spec.shape, own if smaller else declared

    def mistake(self, examples: int) -> str | None:
        """What is wrong with shape and type, in words that follow its name."""
        import numpy as np

        ready = self.raw or self.fitted
        expected = (examples,) if ready else (examples, *self.spec.shape)
        if tuple(self.values.shape[: 1 if ready else None]) != expected:
            reason = f"has shape {list(self.values.shape)}; declared and labelled are {[examples, *self.spec.shape]}"
            return f"input {self.spec.name!r} {reason}"
        declared = np.dtype(self.spec.dtype)
        if self.values.dtype.kind not in ("fiub" if declared.kind == "f" else "iub"):
            return f"input {self.spec.name!r} has elements of type {self.values.dtype}, declared are {declared}"
        return None

    def blocks(self) -> Iterator[Values]:
        """Rows as they are kept."""
        for block in _blocks(self.values):
            yield block if self.how is None or not self.raw or self.fitted else _fitted(block, self.how)


def intakes(inputs: Sequence[Values | Blocks], signature: Signature, how: Preprocess | None) -> list[Intake]:
    """The inputs of a split beside what is declared of them, as far as there are any; `how` is about one of them."""
    places = how.places(signature.inputs) if how is not None else ()
    pairs = zip(inputs, signature.inputs, strict=False)
    return [Intake(values, spec, how if place in places else None) for place, (values, spec) in enumerate(pairs)]


def mistake(inputs: Sequence[Values | Blocks], signature: Signature, how: Preprocess | None, n: int) -> str | None:
    """What is wrong with shapes and types of a split's inputs, in words that follow its name; None when nothing is."""
    if len(inputs) != len(signature.inputs):
        return f"has {len(inputs)} inputs, the model declares {len(signature.inputs)}"
    return next((wrong for each in intakes(inputs, signature, how) if (wrong := each.mistake(n))), None)


def keep(folder: Path, inputs: Sequence[Intake], rows: Mapping[str, Mask | None]) -> str | None:
    """Write the rows of each split by its name, all of them for None; the first wrong value in words, as `mistake`."""
    for position, each in enumerate(inputs):
        total, (shape, dtype) = each.values.shape[0], each.stored
        counts = {name: len(mask.nonzero()[0]) if mask is not None else total for name, mask in rows.items()}
        rooms = {
            name: dataset.room(folder, name, position, (count, *shape), str(dtype)) for name, count in counts.items()
        }
        if wrong := _fill(rooms, each, rows):
            return f"input {each.spec.name!r} {wrong}"
    return None


def _fill(rooms: Mapping[str, Values], each: Intake, rows: Mapping[str, Mask | None]) -> str | None:
    start, written = 0, dict.fromkeys(rooms, 0)
    for block in each.blocks():
        if wrong := _wrong(block, each, start):
            return wrong
        for name, room in rooms.items():
            mask = rows[name]
            part = block if mask is None else block[mask[start : start + len(block)]]
            room[written[name] : written[name] + len(part)] = part
            written[name] += len(part)
        start += len(block)
    return None if start == each.values.shape[0] else f"gave {start} of {each.values.shape[0]} examples"


def _blocks(values: Values | Blocks) -> Iterator[Values]:
    if isinstance(values, Blocks):
        yield from values.blocks()
        return
    rows = max(1, _BYTES * len(values) // max(1, values.nbytes))
    for start in range(0, len(values), rows):
        yield values[start : start + rows]


def _fitted(block: Values, how: Preprocess) -> Values:
    """Raw examples as they are kept."""
    import numpy as np

    return np.stack([how.fit(one)[0] for one in block])


def _wrong(block: Values, each: Intake, start: int) -> str | None:
    import numpy as np

    shape = each.stored[0]
    if block.shape[1:] != shape:
        return f"has an example of shape {list(block.shape[1:])} at {start}; declared is {list(shape)}"
    declared = np.dtype(each.spec.dtype)
    if block.dtype.kind in "iub" and np.can_cast(block.dtype, declared, "safe"):
        return None
    least, most = _limits(declared)
    good = (block >= least) & (block <= most)  # NaN is neither
    if good.all():
        return None
    first = start + int(np.argwhere(~good)[0][0])
    place = each.values.place(first) if isinstance(each.values, Placed) else f"example {first}"
    return f"has NaN, infinite or too large values for {declared}, first in {place}"


def _limits(declared: np.dtype[Any]) -> tuple[Any, Any]:
    import numpy as np

    if declared.kind == "b":
        return 0, 1
    limits = np.finfo(declared) if declared.kind == "f" else np.iinfo(declared)
    return limits.min, limits.max
