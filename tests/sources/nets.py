"""Small ONNX files as others make them, built operator by operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
WEIGHTS = np.arange(12, dtype="float32").reshape(4, 3) / 10


def linear(
    *,
    name: str = "x",
    shape: tuple[Any, ...] = ("N", 4),
    dtype: int = TensorProto.FLOAT,
    kind: str = "MatMul",
    domain: str = "",
    opset: int = 17,
    weights: Array = WEIGHTS,
    called: str = "fc.weight",
) -> onnx.ModelProto:
    """One layer of 4 × 3 weights, `called` so, on an input whose batch is open."""
    node = helper.make_node(kind, [name, called], ["y"], name="/fc/MatMul", domain=domain)
    return helper.make_model(
        helper.make_graph(
            [node],
            "net",
            [helper.make_tensor_value_info(name, dtype, shape)],
            [helper.make_tensor_value_info("y", dtype, ("N", weights.shape[1]))],
            [numpy_helper.from_array(weights, called)],
        ),
        opset_imports=[helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])],
        ir_version=8,
    )


def written(model: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def with_weights_at(location: str, folder: Path) -> Path:
    """The file with its weights in another one, whose place it names; they are written where it lies inside."""
    model = linear(weights=np.tile(WEIGHTS, (1, 8)))  # onnx moves no small tensors by itself
    tensor = model.graph.initializer[0]
    content = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(len(content))}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    place = folder / location
    if place.resolve().is_relative_to(folder.resolve()):
        place.parent.mkdir(exist_ok=True, parents=True)
        place.write_bytes(content)
    return written(model, folder)
