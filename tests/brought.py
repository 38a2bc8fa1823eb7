"""What somebody brings along: a model file, and pictures or arrays that it knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LABELS = ["top left", "top right", "bottom left", "bottom right"]


def quarters(count: int, seed: int) -> tuple[Any, Any]:
    """Pixels uint8 [count, 12, 12] in which one quarter is bright, as the tiny model knows them, and which."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    pixels = rng.normal(40, 15, (count, 12, 12))
    for picture, label in zip(pixels, labels, strict=True):
        row, column = 6 * (label // 2), 6 * (label % 2)
        picture[row : row + 6, column : column + 6] += 150
    return pixels.clip(0, 255).astype(np.uint8), labels


def pictures(top: Path, count: int = 400) -> Path:
    """A folder for each class, with pictures that are larger than the model takes."""
    for number, (pixels, label) in enumerate(zip(*quarters(count, 0), strict=True)):
        place = top / f"{label} {LABELS[label]}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((24, 24), Image.Resampling.NEAREST).save(place / f"{number}.png")
    return top


def arrays(path: Path, count: int = 400) -> Path:
    """An .npz with what the model takes."""
    pixels, labels = quarters(count, 1)
    np.savez(path, x=(pixels[:, None] / 255).astype(np.float32), y=labels)
    return path
