"""The constants of a file as parameters and buffers of torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from torch import Tensor, nn

    Array = np.ndarray[Any, Any]

_MASK = 1e9  # no weight is as large: what is stands for minus infinity


class Initializers:
    """The arrays of a file by name, and the parameter that each has become."""

    def __init__(self, tensors: list[onnx.TensorProto]) -> None:
        self.arrays: dict[str, Array] = {tensor.name: array(tensor) for tensor in tensors}
        self._parameters: dict[str, nn.Parameter] = {}

    def parameter(self, name: str, values: Array | None = None) -> nn.Parameter:
        """The parameter of an initializer, or of `values` that were computed from it under a name of their own.

        Layers that share an initializer share the parameter, unless all its values are the same: exporters write equal
        constants once, whosever they are.
        """
        from torch import nn

        values = self.arrays[name] if values is None else values
        if is_uniform(values):
            return nn.Parameter(to_tensor(values))
        if name not in self._parameters:
            self._parameters[name] = nn.Parameter(to_tensor(values))
        return self._parameters[name]


def array(tensor: onnx.TensorProto) -> Array:
    """The values; of a weight that was taken out (`skeleton`) others in their place, of which no two are the same."""
    import numpy as np
    import onnx

    if is_hollow(tensor):
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        count = math.prod(tensor.dims)
        ramp: Array = (np.arange(1, count + 1) / count).astype(kind)
        return ramp.reshape(tuple(tensor.dims))
    values: Array = onnx.numpy_helper.to_array(tensor)
    if values.dtype.name == "bfloat16":
        values = values.astype(np.float32)
    return values


def is_hollow(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor has a shape and no values."""
    fields = ("raw_data", "float_data", "double_data", "int32_data", "int64_data", "uint64_data", "string_data")
    return math.prod(tensor.dims) > 0 and not any(len(getattr(tensor, field)) for field in fields)


def to_tensor(values: Array) -> Tensor:
    """Its own copy."""
    import numpy as np
    import torch

    return torch.from_numpy(np.array(values, order="C"))


def is_uniform(values: Array) -> bool:
    """Whether all values are the same."""
    return bool(values.size == 0 or (values == values.flat[0]).all())


def is_learnable(values: Array) -> bool:
    """Whether an optimizer may change it: floating-point numbers, and none that stands for a mask."""
    import numpy as np

    return values.dtype.kind == "f" and bool((np.abs(values) < _MASK).all())  # false of nan and inf too
