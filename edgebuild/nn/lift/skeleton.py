"""An ONNX file without its weights: what the lift needs to make the same module, to be filled from safetensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift import prepare
from edgebuild.nn.lift.initializers import array, is_learnable, is_uniform

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_LEAST = 64  # values: what is smaller may steer the graph


def skeleton(
    model: bytes, sizes: Mapping[str, int] | None = None, constants: Mapping[str, Array] | None = None
) -> bytes:
    """The prepared file with its large weights left out; `lift` takes it like any other, with no sizes or constants.

    The module has the names and shapes of `lift(model, sizes, constants)`, and no values that mean anything until its
    `state_dict` is loaded. LiftError as in `lift`.
    """
    prepared = prepare.prepare(model, sizes or {}, constants or {})
    for tensor in prepared.graph.initializer:
        values = array(tensor)
        if math.prod(tensor.dims) >= _LEAST and is_learnable(values) and not is_uniform(values):
            _empty(tensor)
    serialized: bytes = prepared.SerializeToString(deterministic=True)
    return serialized


def _empty(tensor: Any) -> None:
    for field in ("raw_data", "float_data", "double_data", "int32_data"):  # int32_data holds float16 too
        tensor.ClearField(field)
