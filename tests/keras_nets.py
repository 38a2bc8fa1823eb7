"""Keras models as somebody else saves them: trained here, in Keras itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from edgebuild.formats import _keras_file
from tests import brought


def keras() -> Any:
    """The module, on PyTorch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _keras_file.backend()


def classifier(path: Path) -> Path:
    """A small network of separable convolutions and norms that knows the quarters of `tests.brought`, with softmax."""
    layers = keras().layers
    keras().utils.set_random_seed(0)
    model = keras().Sequential(
        [
            keras().Input((12, 12, 1), name="image"),
            layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, strides=2, padding="same", name="spread"),
            layers.Conv2D(32, 1, name="mix"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", name="quarter"),
        ]
    )
    pixels, labels = brought.quarters(200, 7)
    model.compile(keras().optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(pictures(pixels), labels, epochs=4, batch_size=20, verbose=0)
    model.save(path)
    return path


def pictures(pixels: Any) -> Any:
    """As the network takes them, channels last."""
    return (pixels[..., None] / 255).astype(np.float32)
