"""Pictures as a model's input: read and prepared by the very functions of a bundle's `run.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import exhausted
from edgebuild.spec.model import ImageInput

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]

_ROWS = 64


@dataclass(frozen=True, slots=True)
class Pictures:
    """Files as Blocks of what `how` makes of them; `wrong` makes the error for one that cannot be read."""

    files: Sequence[Path]
    how: ImageInput
    wrong: Callable[[Path, str], Exception]

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, …] of the input that the pictures become."""
        return (len(self.files), *self.how.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Real numbers."""
        import numpy as np

        return np.dtype(np.float32)

    def blocks(self) -> Iterator[Values]:
        """One block after another is read."""
        import numpy as np

        for start in range(0, len(self.files), _ROWS):
            yield np.concatenate([self._prepared(path) for path in self.files[start : start + _ROWS]])

    def _prepared(self, path: Path) -> Values:
        from edgebuild.travels import run

        try:
            pixels = run.read_picture(path)
        except Exception as error:  # decoders raise whatever they like
            if exhausted(error):
                raise
            told = str(error).strip().partition("\n")[0].replace(str(path), path.name)
            raise self.wrong(path, told or type(error).__name__) from None
        return prepared(pixels, self.how)


def prepared(pixels: Values, how: ImageInput) -> Values:
    """Pixels uint8 [h, w, c] as one example [1, …] float32."""
    from edgebuild.travels import run

    values: Values = run.prepare(pixels, asdict(how))
    return values
