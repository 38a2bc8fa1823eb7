"""The types of ONNX as torch's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_NAMES = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
    **{name.upper(): name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    "BOOL": "bool",
}


def of_onnx(number: int) -> torch.dtype | None:
    """The type of this number in `TensorProto.DataType`; None where torch has none."""
    import onnx
    import torch

    name = _NAMES.get(onnx.TensorProto.DataType.Name(number))
    kind: torch.dtype | None = getattr(torch, name) if name else None
    return kind


def to(values: Tensor, kind: torch.dtype) -> Tensor:
    """The values in another type."""
    return values.to(kind)
