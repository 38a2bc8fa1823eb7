"""Computes an ONNX node whose inputs are all known: what the folding of the whole file could not see before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, Any]


def read(node: onnx.NodeProto) -> dict[str, None]:
    """The names of the values that a node reads, in order, those that graphs within it take from outside too."""
    names = dict.fromkeys(filter(None, node.input))
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            within = {one.name for one in (*graph.input, *graph.initializer)}
            within |= {name for inner in graph.node for name in inner.output}
            taken = [name for inner in graph.node for name in read(inner)]
            taken += [value.name for value in graph.output]
            names |= dict.fromkeys(name for name in taken if name not in within)
    return names


def fold(node: onnx.NodeProto, values: Mapping[str, Array], opsets: list[onnx.OperatorSetIdProto]) -> list[Array]:
    """The outputs of the node, by ONNX Runtime."""
    import onnx
    import onnxruntime

    held = [onnx.numpy_helper.from_array(values[name], name) for name in read(node)]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "one node", [], outputs, held)
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results: list[Array] = session.run(None, {})
    return results
