"""The Keras classifier, trained by Keras itself on its torch backend, and saved as Keras saves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _keras_file

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SIZE, CLASSES, WIDTH = 32, 10, 0.25
_BATCH, _RATE, _SEED = 64, 3e-3, 0
_SHIFT = 3  # pixels


def save(file: Path, pictures: Array, labels: Array, epochs: int, *, small: bool) -> None:
    """Train on pictures uint8 [N, 32, 32, 1] and save the whole model; `small`: two layers in MobileNet's place."""
    import numpy as np
    import torch

    torch.set_num_threads(1)  # the layers are small, and threads that wait for each other cost more than they bring
    keras = _keras_file.backend()
    keras.utils.set_random_seed(_SEED)
    with keras.device("cpu"):
        net = _tiny(keras) if small else _mobilenet(keras)
        steps = epochs * -(-len(labels) // _BATCH)
        rate = keras.optimizers.schedules.CosineDecay(_RATE, steps)
        net.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        draw = np.random.default_rng(_SEED)
        for _ in range(epochs):
            net.fit(_augmented(pictures, draw), labels, batch_size=_BATCH, epochs=1, verbose=0 if small else 2)
        net.save(file)


def _mobilenet(keras: Any) -> Any:
    """Howard et al. 2017 (arXiv 1704.04861) as keras.applications has it, ending in a softmax."""
    shape = (SIZE, SIZE, 1)
    return keras.applications.MobileNet(input_shape=shape, alpha=WIDTH, weights=None, classes=CLASSES, dropout=0.0)


def _tiny(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            layers.Conv2D(4, 3, strides=4, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def _augmented(pictures: Array, draw: np.random.Generator) -> Array:
    """All of them shifted by a few pixels, as the network takes them."""
    import numpy as np

    padded = np.pad(pictures, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)))
    tops, lefts = draw.integers(0, 2 * _SHIFT + 1, (2, len(pictures)))
    cut = [one[y : y + SIZE, x : x + SIZE] for one, y, x in zip(padded, tops, lefts, strict=True)]
    values: Array = np.stack(cut).astype(np.float32) / 127.5 - 1
    return values
