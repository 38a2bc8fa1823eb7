"""A model's inputs of a sheet's columns: numbers side by side, lists, or what `[preprocess]` makes of a column."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from edgebuild.data import _sheet
from edgebuild.data._sheet import Picked, Sheet, picked
from edgebuild.spec.data import DataRequest
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.data._sheet import Cells, Wrong
    from edgebuild.spec.preprocess import Preprocess
    from edgebuild.spec.signature import TensorSpec

    Values = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The model's inputs of one sheet: `columns` of each by its name, and `categories`, words by column."""

    request: DataRequest
    sheet: Sheet
    columns: Mapping[str, Sequence[str]]
    categories: Mapping[str, Sequence[str]]
    wrong: Wrong

    def picked(self, prepared: Mapping[str, str], used: Collection[str | None], mask: Values) -> tuple[Picked, ...]:
        """In the rows of a mask [N]; `prepared` is the column that `[preprocess]` takes, by its key, `used` are those
        that are no inputs. UsageError for an input that nothing makes.
        """
        specs = self.request.signature.inputs
        places = self._places(prepared)
        columns = self.columns
        if not columns and len(specs) == 1:
            columns = {specs[0].name: tuple(name for name in self.sheet.columns if name not in used)}
        inputs = []
        for place, spec in enumerate(specs):
            if place in places:
                ((key, column),) = prepared.items()
                inputs.append(self._made(key, column, places.index(place), mask))
            elif spec.name in columns:
                inputs.append(self._beside(spec, columns[spec.name], mask))
            else:
                raise self.wrong(f"names no columns for the input {spec.name!r}", key="data.columns")
        return tuple(inputs)

    def _made(self, key: str, column: str, place: int, mask: Values) -> Picked:
        """One of the inputs that `[preprocess]` makes."""
        assert self.request.preprocess is not None  # it has places
        read = partial(self._prepared, self.request.preprocess, key, column, place)
        return picked(self.sheet, [column], read, self.wrong, mask)

    def _beside(self, spec: TensorSpec, names: Sequence[str], mask: Values) -> Picked:
        """An input of columns as they are."""
        for name in names:
            _sheet.present(self.sheet, name, self.wrong, "data.columns")
        if not names:
            raise self.wrong(f"names no columns for the input {spec.name!r}", key="data.columns")
        return picked(self.sheet, names, partial(self._values, spec, names), self.wrong, mask)

    def _places(self, prepared: Mapping[str, str]) -> tuple[int, ...]:
        """Which inputs `[preprocess]` makes of a column."""
        how = self.request.preprocess
        if len(prepared) > 1:
            raise self.wrong(f"is one column too many: {' and '.join(prepared)}", key=f"data.{[*prepared][-1]}")
        for key, column in prepared.items():
            _sheet.present(self.sheet, column, self.wrong, f"data.{key}")
            if how is None or how.what != key:
                message = f"says how a {key} becomes the model's input, and is missing"
                raise self.wrong(message, key="preprocess")
            return how.places(self.request.signature.inputs)
        return ()

    def _prepared(self, how: Preprocess, key: str, column: str, place: int, cells: list[Cells], rows: Values) -> Values:
        """What `[preprocess]` makes of texts, or of files in a column, for one of its inputs, [n, …]."""
        import numpy as np

        parts = []
        for row, cell in zip(rows, cells[0], strict=True):
            try:
                parts.append(how.fit(self._read(how, cell))[place])
            except Exception as error:  # decoders raise whatever they like
                if exhausted(error):
                    raise
                reason = str(error).strip().partition("\n")[0] or type(error).__name__
                if key == "text":
                    raise self.wrong(reason, key="preprocess.vocabulary") from None
                reason = f"{self.sheet.place(row)} has in column {column!r} no {key} that can be read: {reason}"
                raise self.wrong(reason) from None
        return np.stack(parts)

    def _read(self, how: Preprocess, cell: Any) -> Any:
        """A text as it is, and what a file in a cell holds."""
        if how.what == "text":
            return cell
        assert self.request.scratch is not None  # of a step that loads data
        if not isinstance(cell, bytes) or not cell:
            raise ValueError("there are no bytes of a file")
        path = self.request.scratch / "cell.png"  # decoders look into it, but for the one that reads PNG alone
        path.write_bytes(cell)
        return how.read(path)

    def _values(self, spec: TensorSpec, names: Sequence[str], cells: list[Cells], rows: Values) -> Values:
        """Numbers as the input takes them, where they are as many as it takes."""
        import numpy as np

        each = [self._numbers(name, own, rows) for name, own in zip(names, cells, strict=True)]
        values = each[0] if len(each) == 1 and each[0].ndim > 1 else self._stacked(names, each, rows)
        if values.ndim == 2 and values.shape[1] == np.prod(spec.shape):  # what has axes of its own keeps them
            values = values.reshape(-1, *spec.shape)
        if spec.dtype.startswith("float"):
            return values.astype(np.float32) if values.dtype == np.float64 else values
        if values.dtype.kind == "f":
            odd = np.argwhere(values != np.rint(values))
            if len(odd):
                message = (
                    f"{self.sheet.place(rows[odd[0][0]])} has {values[tuple(odd[0])]}, and input {spec.name!r} takes"
                )
                raise self.wrong(f"{message} whole numbers", key="data.columns")
        return values.astype(np.int64)  # whoever takes them looks whether they fit the input

    def _stacked(self, names: Sequence[str], each: Sequence[Values], rows: Values) -> Values:
        """Numbers of several columns as one row each."""
        import numpy as np

        for name, values in zip(names, each, strict=True):
            if values.ndim > 1:
                message = (
                    f"{self.sheet.place(rows[0])} has a list in column {name!r}, and lists are an input of their own"
                )
                raise self.wrong(message, key="data.columns")
        return np.stack(each, 1)

    def _numbers(self, name: str, cells: Cells, rows: Values) -> Values:
        if name in self.categories:
            return _sheet.chosen(self.sheet, name, cells, rows, self.categories[name], self.wrong)
        return _sheet.numbers(self.sheet, name, cells, rows, self.wrong)
