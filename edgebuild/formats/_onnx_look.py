"""What an .onnx file is: read and opened, and nothing of it changed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.formats import _ends, _onnx_adopt, _onnx_beside, _onnx_files, _onnx_repaired, _onnx_words
from edgebuild.formats._adopted import attempt
from edgebuild.spec.look import UNKNOWN, Look, Port, Size

if TYPE_CHECKING:
    import onnx


_LEARNT = (1, 2, 3, 10, 11, 16, 21, 22)  # of onnx.TensorProto.DataType: floats and whole numbers of 8 and 4 bits
_MOVING = (
    *("Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Cast"),
    *("QuantizeLinear", "DequantizeLinear"),
)
_SHARES = ("Sigmoid", "Softmax", "HardSigmoid")
_LAYERS = ("Gemm", "MatMul", "Conv", "ConvTranspose")


def look(path: Path) -> Look:
    """UsageError for what is no ONNX model, lacks its weights, or what ONNX Runtime refuses."""
    from edgebuild.travels import load_onnx

    model = attempt("is no ONNX model", lambda: _onnx_adopt.parsed(path))
    beside = tuple(_onnx_beside.beside(model, path.parent))
    named = _onnx_words.classes(model)
    notes = (*_onnx_repaired.repaired(model), *_onnx_repaired.fixed(model))
    _onnx_adopt.runnable(model, lambda: load_onnx.Model(_onnx_repaired.content(path), {}))
    graph, ends = model.graph, _kinds(model.graph)
    constants = {tensor.name for tensor in graph.initializer}
    operators = Counter(_operators(graph))
    sizes = [math.prod(tensor.dims) for tensor in _onnx_beside.tensors(graph) if tensor.data_type in _LEARNT]
    return Look(
        f"ONNX model, opset {_onnx_adopt.opset(model)}",
        tuple(_port(value) for value in graph.input if value.name not in constants),
        tuple(_port(value) for value in graph.output),
        dict(operators.most_common()),
        sum(sizes),
        sum(file.stat().st_size for file in (path, *(path.parent / name for name in beside))),
        beside,
        _onnx_adopt.integer_kind(model),
        named,
        notes,
        tuple(name for name, kind in ends.items() if kind in _SHARES),
        tuple(name for name, kind in ends.items() if kind in _LAYERS),
    )


def _operators(graph: onnx.GraphProto) -> Iterator[str]:
    """Each operator's kind, those within branches and loops too, as their weights are counted."""
    for node in graph.node:
        yield node.op_type
    for inner in _onnx_files.subgraphs(graph):
        yield from _operators(inner)


def _kinds(graph: onnx.GraphProto) -> dict[str, str]:
    constants = {tensor.name for tensor in graph.initializer}
    makers = {
        name: _ends.Maker(node.op_type, tuple(node.input), bool(constants & {*node.input}))
        for node in graph.node
        for name in node.output
    }
    return _ends.kinds([value.name for value in graph.output], makers, _MOVING, "Add")


def _port(value: onnx.ValueInfoProto) -> Port:
    shape: list[Size] = [_onnx_adopt.extent(dim) for dim in value.type.tensor_type.shape.dim]
    known = value.type.tensor_type.HasField("shape")
    return Port(value.name, tuple(shape) if known else UNKNOWN, _onnx_adopt.dtype(value))


def ports(content: bytes) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs and outputs of a file as it has them, with no runtime to open it."""
    import onnx

    graph = onnx.load_model_from_string(content).graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = (value for value in graph.input if value.name not in constants)
    return tuple(map(_port, inputs)), tuple(map(_port, graph.output))
