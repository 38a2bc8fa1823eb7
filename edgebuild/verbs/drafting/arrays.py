"""What a data folder or an .npz says of itself at a glance: classes, labels, pictures."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.data._splits import ALIASES
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    import numpy as np


def classes(data: Path) -> list[str]:
    """Folders of classes in the order of their names; empty where the data is no folder."""
    if not data.is_dir():
        return []
    return sorted(
        place.name for place in _training(data).iterdir() if place.is_dir() and not place.name.startswith(".")
    )


def some_pictures(data: Path, most: int, labels: Sequence[str]) -> list[tuple[Path, int]]:
    """Pictures of a folder with the numbers of their classes, as many of each as there may be; none of an .npz.

    Classes are numbered as in `labels`; folders of no label are left out.
    """
    from edgebuild.data.images import pictures_below

    names = classes(data)
    known = [name for name in names if name in labels]
    top = _training(data)
    each = [(labels.index(name), pictures_below(top / name)) for name in known[:most]]
    share = max(most // max(len(each), 1), 1)
    return [(path, number) for number, paths in each for path in paths[:: max(len(paths) // share, 1)][:share]]


def _training(data: Path) -> Path:
    return next((data / alias for alias in ALIASES["train"] if (data / alias).is_dir()), data)


def whole_labels(data: Path) -> bool:
    """Whether an .npz has arrays of whole numbers with one axis, or one that is 1, which classes are."""
    return any(kind.kind in "iu" and shape and {*shape[1:]} <= {1} for shape, kind in _ports(data))


def has_pictures(data: Path) -> bool:
    """Whether an .npz has arrays of 8 bits with the axes of pictures."""
    return any(kind == "uint8" and len(shape) in (3, 4) for shape, kind in _ports(data))


def count(data: Path) -> int:
    """The number of classes in an .npz: one more than the largest whole label."""
    import numpy as np

    with np.load(data, allow_pickle=False) as stored:
        labels = [stored[name] for name in stored.files if stored[name].dtype.kind in "iu" and stored[name].ndim == 1]
    return max((int(values.max()) + 1 for values in labels if len(values)), default=2)


def _ports(data: Path) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of each array; UsageError for what is no .npz."""
    from edgebuild.data.npz import UNREADABLE, header

    try:
        with zipfile.ZipFile(data) as archive:
            found = []
            for member in archive.namelist():
                with archive.open(member) as stream:
                    shape, _, dtype = header(stream)
                    found.append((shape, dtype))
            return found
    except UNREADABLE as error:
        told = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UsageError(f"is no .npz of named arrays: {told}", file=str(data), key="--data") from None
