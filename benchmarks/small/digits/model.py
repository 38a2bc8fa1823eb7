# mypy: ignore-errors
"""A network and a part of the data of `models/digits`, for runs that only show that a benchmark works."""

import full
from full import augment
from torch import nn

__all__ = ["augment", "build", "load"]

EXAMPLES = {"train": 200, "test": 60}


def build() -> nn.Module:
    """8-8-16 channels, as the whole one in all else."""
    return full.Classifier(8, [(8, 2), (16, 2)])


def load() -> dict[str, full.Arrays]:
    """The first examples of each split."""
    return {name: tuple(values[:count] for values in full.load()[name]) for name, count in EXAMPLES.items()}
