"""Models whose work is known exactly: chains of equal matrix products, so that 22 of them are 10 % more than 20."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_BATCH, _WIDTH = 8, 160


def matmuls(path: Path, layers: int) -> Path:
    """Write an ONNX file of so many products with a ReLU each; the weights are the same in every file."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    shape = [_BATCH, _WIDTH]
    nodes, weights = [], []
    for layer in range(layers):
        values = (rng.normal(size=(_WIDTH, _WIDTH)) / np.sqrt(_WIDTH)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{layer}"))
        nodes.append(helper.make_node("MatMul", [f"x{layer}", f"w{layer}"], [f"y{layer}"]))
        nodes.append(helper.make_node("Relu", [f"y{layer}"], [f"x{layer + 1}"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x0", f"x{layers}")]
    graph = helper.make_graph(nodes, "matmuls", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, str(path))
    return path


def inputs(folder: Path) -> Path:
    """The inputs of a job for such a file."""
    values = np.random.default_rng(1).normal(size=(_BATCH, _WIDTH)).astype(np.float32)
    np.savez(folder / "inputs.npz", **{"0": values})  # type: ignore[arg-type]
    return folder / "inputs.npz"
