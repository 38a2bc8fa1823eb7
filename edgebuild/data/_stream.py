"""Examples one after another or in batches, as iterables and `Dataset`s give them: written to disk as they come.

Memory holds one of them. Each must be like the first in shapes and types: one that is not is named by its index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, runtime_checkable

from edgebuild.spec.data import Blocks, DataRequest
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]

_USUAL_LABELS = ("label", "labels", "target", "y")  # of the only head, where examples are mappings


@runtime_checkable
class Indexed(Protocol):
    """What has examples by number, as a torch `Dataset` does."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, number: int) -> Any:
        """The one of this number."""


def streams(split: Any) -> bool:
    """Whether a split is examples one after another: neither arrays, nor a pair or tuple of them."""
    import numpy as np

    if isinstance(split, tuple | str | bytes | Mapping | np.ndarray | Blocks) or _is_tensor(split):
        return False
    if isinstance(split, list):
        return len(split) != 2 and all(isinstance(example, tuple | Mapping) for example in split) and bool(split)
    return isinstance(split, Iterable | Indexed)


def pair(name: str, split: Any, request: DataRequest, folder: Path, wrong: Callable[[str], Exception]) -> Any:
    """The examples of a split as (inputs, labels), on disk in `folder`; `wrong` makes the error for an odd one."""
    return _Spool(name, request, folder, wrong).pair(split)


def inputs(
    name: str, split: Any, request: DataRequest, folder: Path, wrong: Callable[[str], Exception]
) -> tuple[Values, ...]:
    """The inputs of examples without labels, on disk in `folder`."""
    return _Spool(name, request, folder, wrong, labelled=False).pair(split)[0]


@dataclass(slots=True)
class _Column:
    """One input, or the labels of one head: rows of bytes in a file, all like the first."""

    name: str
    path: Path
    file: BinaryIO
    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any] | None = None
    rows: int = 0

    def add(self, values: Values) -> str | None:
        """Append rows [n, …]; what is unlike the first in words."""
        if self.dtype is None:
            self.shape, self.dtype = values.shape[1:], values.dtype
        if (values.shape[1:], values.dtype) != (self.shape, self.dtype):
            first = f"{self.dtype} {list(self.shape)}"
            return f"has {self.name} of {values.dtype} {list(values.shape[1:])}, and those before {first}"
        self.file.write(values.tobytes())
        self.rows += len(values)
        return None

    def read(self) -> Values:
        """All rows, memory-mapped."""
        import numpy as np

        if self.dtype is None or not self.rows:
            return np.empty((0, *self.shape))
        if self.dtype.hasobject or not self.dtype.itemsize:
            return np.empty((self.rows, *self.shape), object)
        size = self.rows, *self.shape
        if 0 in size:
            return np.empty(size, self.dtype)
        values: Values = np.memmap(self.path, self.dtype, "r", shape=size)
        return values


@dataclass(slots=True)
class _Spool:
    name: str
    request: DataRequest
    folder: Path
    wrong: Callable[[str], Exception]
    labelled: bool = True
    columns: list[_Column] = field(default_factory=list)

    def pair(self, split: Any) -> tuple[tuple[Values, ...], dict[str, Values]]:
        names = [f"input {spec.name!r}" for spec in self.request.signature.inputs]
        if self.labelled:
            names += [f"labels {head.name!r}" for head in self.request.heads]
        with ExitStack() as stack:
            for place, name in enumerate(names):
                path = self.folder / f"{self.name}.{place}.rows"
                self.columns.append(_Column(name, path, stack.enter_context(path.open("wb"))))
            done = 0
            for example in self._examples(split):
                done += self._add(example, done)
        parts = [column.read() for column in self.columns]
        count = len(self.request.signature.inputs)
        labels = zip(self.request.heads, parts[count:], strict=False)  # none where nobody labelled them
        return tuple(parts[:count]), {head.name: values for head, values in labels}

    def _examples(self, split: Any) -> Iterator[Any]:
        """Each of them; UsageError where the user's code fails."""
        number = 0
        several = iter(split) if isinstance(split, Iterable) else _numbered(split)
        while True:
            try:
                example = next(several)
            except StopIteration:
                return
            except Exception as error:
                if exhausted(error):
                    raise
                raise self._refused(number, f"raised {type(error).__name__}: {error}") from None
            yield example
            number += 1

    def _add(self, example: Any, done: int) -> int:
        """How many examples this was: a batch is several."""
        values = [self._array(one, done) for one in self._values(example, done)]
        batch = self._is_batch(values[0])
        if not batch:
            values = [one[None] for one in values]
        if len({len(one) if one.ndim else -1 for one in values}) != 1:
            lengths = ", ".join(
                f"{len(one) if one.ndim else 'no'} {c.name}" for c, one in zip(self.columns, values, strict=True)
            )
            raise self._refused(done, f"begins a batch of {lengths}")
        values[0 : len(self.request.signature.inputs)] = self._fitted(values[: len(self.request.signature.inputs)])
        for column, rows in zip(self.columns, values, strict=True):
            if (unlike := column.add(rows)) is not None:
                raise self._refused(done, unlike)
        return len(values[0])

    def _values(self, example: Any, done: int) -> list[Any]:
        """What an example has for each column."""
        names = [spec.name for spec in self.request.signature.inputs]
        heads = [head.name for head in self.request.heads] if self.labelled else []
        if isinstance(example, Mapping):
            return self._named(example, names, done) + self._named(example, heads, done, _USUAL_LABELS)
        if not self.labelled:
            return self._listed(example, names, "inputs", done)
        every = len(names) + len(heads)
        if isinstance(example, tuple | list) and len(example) == every > 2:  # as a TensorDataset of all of them has it
            return list(example)
        if not isinstance(example, tuple | list) or len(example) != 2:
            raise self._refused(done, f"is {_shown(example)}, not a pair (inputs, labels) or a mapping by name")
        return self._listed(example[0], names, "inputs", done) + self._listed(example[1], heads, "labels", done)

    def _named(
        self, example: Mapping[Any, Any], names: Sequence[str], done: int, usual: tuple[str, ...] = ()
    ) -> list[Any]:
        taken = []
        for name in names:
            known = (name, *(usual if len(names) == 1 else ()))
            key = next((one for one in known if one in example), None)
            if key is None:
                raise self._refused(done, f"has no {name!r}; it has {', '.join(map(str, example)) or 'nothing'}")
            taken.append(example[key])
        return taken

    def _listed(self, values: Any, names: Sequence[str], what: str, done: int) -> list[Any]:
        """One value for each name: the only one, a mapping, or a tuple in their order."""
        if isinstance(values, Mapping):
            return self._named(values, names, done)
        if len(names) == 1:
            return [values[0] if isinstance(values, tuple) and len(values) == 1 else values]
        if not isinstance(values, tuple | list) or len(values) != len(names):
            raise self._refused(done, f"has {what} {_shown(values)}, and the model's are {', '.join(names)}")
        return list(values)

    def _array(self, value: Any, done: int) -> Values:
        import numpy as np

        try:
            return np.asarray(value)
        except Exception as error:  # ragged lists, tensors on a GPU, whatever __array__ may raise
            if exhausted(error):
                raise
            raise self._refused(done, f"cannot be read as arrays: {error}") from None

    def _is_batch(self, first: Values) -> bool:
        """Whether the first input has an axis of examples in front."""
        how, spec = self.request.preprocess, self.request.signature.inputs[0]
        if how is not None and self._is_raw(0, first):
            return not how.raw((1, *first.shape), first.dtype, spec)
        return first.ndim == len(self.request.signature.inputs[0].shape) + 1

    def _is_raw(self, place: int, values: Values) -> bool:
        how = self.request.preprocess
        spec = self.request.signature.inputs[place]
        if how is None or place not in how.places(self.request.signature.inputs):
            return False
        return any(how.raw(shape, values.dtype, spec) for shape in (values.shape, (1, *values.shape)))

    def _fitted(self, several: list[Values]) -> list[Values]:
        """Rows [n, …], those that are yet to be prepared as they are kept."""
        import numpy as np

        how = self.request.preprocess
        for place, values in enumerate(several):
            if how is not None and self._is_raw(place, values[0]):
                several[place] = np.stack([how.fit(one)[0] for one in values])
        return several

    def _refused(self, number: int, reason: str) -> Exception:
        return self.wrong(f"split {self.name!r} example {number} {reason}")


def _numbered(split: Indexed) -> Iterator[Any]:
    for number in range(len(split)):
        yield split[number]


def _is_tensor(value: Any) -> bool:
    import sys

    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _shown(value: Any) -> str:
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, tuple | list) else type(value).__name__
