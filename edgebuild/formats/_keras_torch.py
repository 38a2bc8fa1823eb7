"""Layers that Keras computes otherwise on PyTorch than on TensorFlow and JAX, where nearly all models were trained."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_AVERAGES = ("AveragePooling1D", "AveragePooling2D", "AveragePooling3D")
_CUBIC = "export it to ONNX or as a SavedModel by the Keras that made it"


def correct(layer: Any) -> None:
    """Have a layer (in place) answer as on TensorFlow; UsageError where it cannot be had."""
    kind = type(layer).__name__
    if getattr(layer, "interpolation", None) == "bicubic":
        reason = f"resizes in the layer {layer.name!r} by other cubics on PyTorch than on TensorFlow"
        raise UsageError(reason, hint=_CUBIC)
    if kind in _AVERAGES and layer.padding == "same":
        layer.call = partial(_averaged, layer)


def _averaged(layer: Any, values: Any) -> Any:
    """The means of those of a window's values that are there. On PyTorch Keras repeats the border where one side gets
    more padding than the other, and counts it.
    """
    import numpy as np
    from keras import ops

    first = 1 if layer.data_format == "channels_last" else 2
    pads, shares = [(0, 0)] * len(values.shape), np.ones([1] * len(values.shape), np.float32)
    for axis, (window, stride) in enumerate(zip(layer.pool_size, layer.strides, strict=True), start=first):
        pads[axis], share = _share(values.shape[axis], window, stride)
        shares = shares * share.reshape([-1 if place == axis else 1 for place in range(len(values.shape))])
    padded = ops.pad(values, pads)
    means = ops.average_pool(padded, layer.pool_size, layer.strides, "valid", layer.data_format)
    return means * ops.cast(ops.convert_to_tensor(1 / shares), means.dtype)


def _share(size: int, window: int, stride: int) -> tuple[tuple[int, int], Array]:
    """Along one axis the padding on both sides, and of each window the share that is no padding."""
    import numpy as np

    places = -(-size // stride)
    padding = max(0, (places - 1) * stride + window - size)
    begins = np.arange(places) * stride - padding // 2
    held = np.minimum(begins + window, size) - np.maximum(begins, 0)
    return (padding // 2, padding - padding // 2), (held / window).astype(np.float32)
