"""A recording in an .npz: arrays [T] are columns, what has one value is that of every sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.data._npz_header import UNREADABLE
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.data._sheet import Cells, Wrong

    Values = np.ndarray[Any, Any]

_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Arrays:
    """The arrays of an .npz by name; of one [T, k] the columns are NAME.0 to NAME.k-1, others of more axes are none."""

    name: str
    file: Path
    wrong: Wrong

    @property
    def columns(self) -> tuple[str, ...]:
        """In the order of the file."""
        return tuple(self._read())

    def blocks(self, columns: Sequence[str]) -> Iterator[list[Cells]]:
        """All samples, some rows at a time; the file is read whole, which archives are."""
        import numpy as np

        arrays = self._read()
        total = max((len(values) for values in arrays.values() if values.ndim), default=0)
        for name in columns:
            if arrays[name].ndim and len(arrays[name]) != total:
                message = f"{self.name} has {len(arrays[name])} values of {name!r}, and {total} samples"
                raise self.wrong(message)
        for start in range(0, total, _ROWS):
            rows = range(start, min(start + _ROWS, total))
            parts = (np.broadcast_to(arrays[name], total)[rows.start : rows.stop] for name in columns)
            yield [part if part.dtype.kind in "fiub" else part.astype(str).tolist() for part in parts]

    def place(self, row: int) -> str:
        """By its number."""
        return f"{self.name} sample {row}"

    def classes(self, column: str) -> tuple[str, ...]:
        """Nothing of that kind is said."""
        return ()

    def _read(self) -> dict[str, Values]:
        import numpy as np

        try:
            with np.load(self.file, allow_pickle=False) as stored:
                arrays = {name: own for name in stored.files if (own := stored[name]).ndim <= 2}
        except UNREADABLE as error:
            if exhausted(error):
                raise
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise self.wrong(f"{self.name} is no .npz of named arrays: {reason}") from None
        return {
            (f"{name}.{place}" if values.ndim == 2 else name): values[:, place] if values.ndim == 2 else values
            for name, values in arrays.items()
            for place in range(values.shape[1] if values.ndim == 2 else 1)
        }
