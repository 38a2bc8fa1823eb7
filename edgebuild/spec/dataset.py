"""A data set as an artifact: plain .npy files, memory-mapped when read, so that a device's runner can read them too.

`<split>.<position>.npy` holds the examples of the model's input at that position, `<split>.labels.npy` the classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


@dataclass(frozen=True, slots=True)
class Split:
    """Examples of one split: `inputs[k]` is [N, …] for the model's input k, `labels` is [N] int64."""

    inputs: tuple[Array, ...]
    labels: Array

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.labels)

    def take(self, rows: Array) -> Split:
        """The examples in these rows, copied into memory."""
        return Split(tuple(x[rows] for x in self.inputs), self.labels[rows])


def write(folder: Path, name: str, split: Split) -> None:
    """Write one split; `folder` must exist."""
    import numpy as np

    for position, values in enumerate(split.inputs):
        np.save(folder / f"{name}.{position}.npy", np.ascontiguousarray(values))
    np.save(folder / f"{name}.labels.npy", np.ascontiguousarray(split.labels))


def read(folder: Path, name: str) -> Split:
    """Read one split without copying it into memory; FileNotFoundError when there is none of this name."""
    import numpy as np

    paths = sorted(folder.glob(f"{name}.[0-9]*.npy"), key=lambda path: int(path.name.split(".")[1]))
    inputs = tuple(np.load(path, mmap_mode="r") for path in paths)
    return Split(inputs, np.load(folder / f"{name}.labels.npy", mmap_mode="r"))


def calibration(folder: Path, count: int, seed: int) -> Split:
    """`count` training examples drawn at random with this seed (all of them when there are fewer)."""
    import numpy as np

    train = read(folder, "train")
    rows = np.random.default_rng(seed).permutation(len(train))[:count]
    return train.take(np.sort(rows))
