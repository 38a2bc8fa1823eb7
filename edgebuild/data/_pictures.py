"""Pictures as a data set keeps them: read and made to fit by the very functions of a bundle's `run.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import exhausted
from edgebuild.spec.preprocess import ImageInput

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
        """[N, height, width, channels] of the pixels that are kept."""
        return (len(self.files), *self.how.stored)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Pixels of 8 bits."""
        import numpy as np

        return np.dtype(np.uint8)

    def blocks(self) -> Iterator[Values]:
        """One block after another is read."""
        import numpy as np

        for start in range(0, len(self.files), _ROWS):
            yield np.stack([self._fitted(path) for path in self.files[start : start + _ROWS]])

    def _fitted(self, path: Path) -> Values:
        from edgebuild.travels import prepare_image

        try:
            pixels = prepare_image.read_picture(path)
        except Exception as error:  # decoders raise whatever they like
            if exhausted(error):
                raise
            told = str(error).strip().partition("\n")[0].replace(str(path), path.name)
            raise self.wrong(path, told or type(error).__name__) from None
        fitted: Values = prepare_image.fit(pixels, asdict(self.how))
        return fitted
