"""An ONNX file, one input of which is a number that decides what the file computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def written(path: Path, size: int = 6) -> Path:
    """Of `x` [1, 4] and `rate`: 0 has `y` be of another shape, which takes as many values as `size` says."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def branch(name: str, node: onnx.NodeProto, *weights: onnx.TensorProto) -> onnx.GraphProto:
        return helper.make_graph([node], name, [], [helper.make_empty_tensor_value_info(name)], weights)

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    rate = helper.make_tensor_value_info("rate", TensorProto.INT64, [])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, None])
    matrix = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    shape = numpy_helper.from_array(np.array([1, size]), "shape")
    nodes = [
        helper.make_node("Cast", ["rate"], ["on"], to=TensorProto.BOOL),
        helper.make_node(
            "If",
            ["on"],
            ["y"],
            then_branch=branch("multiplied", helper.make_node("MatMul", ["x", "w"], ["multiplied"]), matrix),
            else_branch=branch("reshaped", helper.make_node("Reshape", ["x", "shape"], ["reshaped"]), shape),
        ),
    ]
    graph = helper.make_graph(nodes, "g", [x, rate], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
