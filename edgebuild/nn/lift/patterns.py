"""Puts a layer norm together that an exporter spelled out, for channels can leave a layer and no spelled-out mean.

x − mean, its square's mean + ε, the root of that, the quotient, and scale and shift: nine operators before opset 17.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.initializers import array

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, Any]


def join_norms(model: onnx.ModelProto) -> None:
    """Replace (in place) every layer norm over the last axis, with a scale, that is spelled out."""
    graph = _Graph(model)
    joined = {}
    for node in model.graph.node:
        norm = _norm(graph, node) if node.op_type == "Sub" else None
        if norm is not None:
            joined[norm.output[0]] = norm
    nodes = [joined.get(node.output[0], node) for node in model.graph.node]
    needed = {value.name for value in model.graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    if joined:
        del model.graph.node[:]
        model.graph.node.extend(reversed(kept))


class _Graph:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.producers = {name: node for node in model.graph.node for name in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in model.graph.node:
            for name in dict.fromkeys(node.input):
                self.readers[name].append(node)
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._outputs = {value.name for value in model.graph.output}

    def constant(self, name: str) -> Array | None:
        return array(self._tensors[name]) if name in self._tensors else None

    def next(self, name: str, kind: str) -> onnx.NodeProto | None:
        """The one node that reads a value, if it is of this kind."""
        readers = self.readers[name]
        alone = len(readers) == 1 and readers[0].op_type == kind and name not in self._outputs
        return readers[0] if alone else None

    def beside(self, node: onnx.NodeProto, name: str) -> str:
        """The other one of two inputs."""
        return str(node.input[1] if node.input[0] == name else node.input[0])


@dataclass(frozen=True, slots=True)
class _Quotient:
    """(x − mean) / √(variance + ε): its output, and ε."""

    output: str
    epsilon: float


def _norm(graph: _Graph, centred: onnx.NodeProto) -> onnx.NodeProto | None:
    """The norm that begins with this difference."""
    import onnx

    values, mean = centred.input
    if not _is_mean_of(graph, graph.producers.get(mean), values):
        return None
    quotient = _quotient(graph, str(centred.output[0]))
    scaled = graph.next(quotient.output, "Mul") if quotient else None
    if quotient is None or scaled is None:
        return None
    scale = graph.beside(scaled, quotient.output)
    if not _is_row(graph, scale):
        return None
    last, inputs = scaled, [values, scale]
    shifted = graph.next(scaled.output[0], "Add")
    if shifted is not None and _is_row(graph, shift := graph.beside(shifted, scaled.output[0])):
        last, inputs = shifted, [values, scale, shift]
    name = centred.name or last.output[0]
    return onnx.helper.make_node(
        "LayerNormalization", inputs, [last.output[0]], name, axis=-1, epsilon=quotient.epsilon
    )


def _quotient(graph: _Graph, centred: str) -> _Quotient | None:
    squares = [node for node in graph.readers[centred] if _is_square(graph, node, centred)]
    divisions = [node for node in graph.readers[centred] if node.op_type == "Div" and node.input[0] == centred]
    if len(squares) != 1 or len(divisions) != 1:
        return None
    variance = graph.next(squares[0].output[0], "ReduceMean")
    if not _is_mean_of(graph, variance, squares[0].output[0]) or variance is None:
        return None
    raised = graph.next(variance.output[0], "Add")
    epsilon = graph.constant(graph.beside(raised, variance.output[0])) if raised else None
    root = graph.next(raised.output[0], "Sqrt") if raised else None
    if root is None or epsilon is None or epsilon.size != 1 or divisions[0].input[1] != root.output[0]:
        return None
    return _Quotient(str(divisions[0].output[0]), float(epsilon.flatten()[0]))


def _is_square(graph: _Graph, node: onnx.NodeProto, name: str) -> bool:
    if node.op_type == "Mul":
        return [*node.input] == [name, name]
    exponent = graph.constant(node.input[1]) if node.op_type == "Pow" else None
    return exponent is not None and exponent.size == 1 and float(exponent.flatten()[0]) == 2


def _is_mean_of(graph: _Graph, node: onnx.NodeProto | None, name: str) -> bool:
    """Whether a node is the mean of a value over its last axis, which stays as 1."""
    if node is None or node.op_type != "ReduceMean" or node.input[0] != name:
        return False
    options = {item.name: item for item in node.attribute}
    if "keepdims" in options and not options["keepdims"].i:
        return False
    if "axes" in options:
        return [*options["axes"].ints] == [-1]
    axes = graph.constant(node.input[1]) if len(node.input) > 1 else None
    return axes is not None and axes.tolist() == [-1]


def _is_row(graph: _Graph, name: str) -> bool:
    values = graph.constant(name)
    return values is not None and values.ndim == 1 and values.size > 1
