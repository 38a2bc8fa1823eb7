"""Files of pictures, recordings or texts as a data set keeps them: by the very functions of a bundle's `run.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import exhausted
from edgebuild.spec.preprocess import Preprocess

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]

_ROWS = 64


@dataclass(frozen=True, slots=True)
class Prepared:
    """Files as Blocks of what `how` keeps of them; `wrong` makes the error for one that cannot be read."""

    files: Sequence[Path]
    how: Preprocess
    wrong: Callable[[Path, str], Exception]

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, …] of what is kept."""
        return (len(self.files), *self.how.stored[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is kept."""
        import numpy as np

        return np.dtype(self.how.stored[1])

    def blocks(self) -> Iterator[Values]:
        """One block after another is read."""
        import numpy as np

        for start in range(0, len(self.files), _ROWS):
            yield np.stack([self._fitted(path) for path in self.files[start : start + _ROWS]])

    def _fitted(self, path: Path) -> Values:
        try:
            return self.how.fit(self.how.read(path))[0]
        except Exception as error:  # decoders raise whatever they like
            if exhausted(error):
                raise
            reason = str(error).strip().partition("\n")[0].replace(str(path), path.name)
            raise self.wrong(path, reason or type(error).__name__) from None
