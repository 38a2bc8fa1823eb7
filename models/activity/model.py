"""Activity: which of seven shoulder exercises somebody does, from 2.56 s of a smartwatch's motion sensors.

Recordings of Burns et al. 2018 (arXiv 1802.01489): ten people, 140 recordings at 50 Hz; seglearn carries them (BSD).
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from torch import Tensor, nn

CLASSES, SAMPLES, STEP = 7, 128, 32
VALIDATION, TEST = (7,), (8, 9, 10)  # people; the others are learnt from


def separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Depthwise, then pointwise, along time."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, (1, 9), (1, stride), (0, 4), groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Network(nn.Module):
    """A convolution, four separable ones, the mean over time, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(6, 32, (1, 9), (1, 2), (0, 4), bias=False), nn.BatchNorm2d(32), nn.ReLU())
        widths = [(32, 64, 2), (64, 64, 1), (64, 96, 2), (96, 96, 1)]
        self.blocks = nn.Sequential(*(separable(*width) for width in widths))
        self.head = nn.Linear(96, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Motion [N, 6, 1, 128] -> logits [N, 7]."""
        x = self.blocks(self.stem(x))
        return self.head(x.mean((2, 3), keepdim=True).flatten(1))


def build() -> nn.Module:
    """The model to deploy."""
    return Network()


def load() -> dict[str, object]:
    """Windows by people: nobody is in two splits. Slices of the test split are its people."""
    recordings = _recordings()
    people = recordings["subject"].astype(int)
    rows = {
        "train": ~np.isin(people, VALIDATION + TEST),
        "validation": np.isin(people, VALIDATION),
        "test": np.isin(people, TEST),
    }
    splits: dict[str, object] = {name: _windows(recordings, np.flatnonzero(chosen)) for name, chosen in rows.items()}
    whose = {name: _each(recordings, np.flatnonzero(chosen)) for name, chosen in rows.items()}
    owners = people[whose["test"]]
    return splits | {"groups": whose, "slices": {f"person {person}": owners == person for person in TEST}}


def _recordings() -> dict:
    spec = find_spec("seglearn")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the recordings come with seglearn: pip install 'edgebuild[activity]'")
    # A pickled dictionary of arrays, which is why the package that brought it must be trusted.
    return np.load(Path(spec.origin).parent / "data" / "watch_dataset.npy", allow_pickle=True).item()


def _starts(recording: np.ndarray) -> range:
    return range(0, len(recording) - SAMPLES + 1, STEP)


def _each(recordings: dict, rows: np.ndarray) -> np.ndarray:
    """The recording of each window, [N]: those of one overlap."""
    return np.concatenate([np.full(len(_starts(recordings["X"][row])), row) for row in rows])


def _windows(recordings: dict, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Motion float32 [N, 128, 6], as [preprocess] takes it, and exercises int64 [N]."""
    x = [recordings["X"][row][start : start + SAMPLES] for row in rows for start in _starts(recordings["X"][row])]
    return np.stack(x).astype(np.float32), recordings["y"][_each(recordings, rows)].astype(np.int64)
