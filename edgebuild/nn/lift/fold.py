"""Computes an ONNX node whose inputs are all known: what the folding of the whole file could not see before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, Any]


def fold(node: onnx.NodeProto, values: Mapping[str, Array], opsets: list[onnx.OperatorSetIdProto]) -> list[Array]:
    """The outputs of the node, by ONNX Runtime."""
    import onnx
    import onnxruntime

    held = [onnx.numpy_helper.from_array(values[name], name) for name in dict.fromkeys(filter(None, node.input))]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "one node", [], outputs, held)
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results: list[Array] = session.run(None, {})
    return results
