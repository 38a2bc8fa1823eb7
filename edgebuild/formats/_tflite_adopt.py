"""Takes in a .tflite file that others made: opcodes, signatures and names as today's tools want them, shapes fixed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgebuild.formats import _tflite_batch, _tflite_layout, _tflite_open
from edgebuild.formats._adopted import attempt
from edgebuild.formats._whole import lacks
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec

Shape = tuple[int, ...]

_FLOAT32, _FLOAT16 = 0, 1  # tflite.TensorType
LEARNT = (0, 1, 3, 7, 9, 17)  # floats, int8, uint8, int16, int4
_INTEGER = {3: "uint8", 7: "int16", 9: "int8", 17: "int4"}
_BLOCKS = 2  # tflite.QuantizationDetails
_MARK = slice(4, 8), b"TFL3"


def adopt(path: Path, inputs: Sequence[TensorSpec]) -> bytes:
    """The file as this product works on it; UsageError with the reason where it cannot be used."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = content(path)
    attempt("is refused by LiteRT", lambda: _check(model, inputs))
    if open_ := _open(model, inputs):
        model = attempt("cannot be run with the declared shapes", lambda: _tflite_open.sized(model, open_))
    parsed = attempt("cannot be read", lambda: flatbuffer_utils.read_model_from_bytearray(bytearray(model)))
    for code in parsed.operatorCodes:  # before 2021 the other field had it, and 0 in this one is ADD
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
    graph = parsed.subgraphs[0]
    _alone(parsed, graph)
    _widen(parsed, graph)
    _name(parsed.subgraphs)
    _empty(parsed)
    parsed.signatureDefs = [one for one in parsed.signatureDefs or [] if not one.subgraphIndex]  # those of this graph
    _tflite_batch.lead(parsed, graph, *_unbatched(model, graph, inputs))
    # Declared is what the file has: of one that was made here, too, nothing is read in another layout.
    parsed.metadata = [entry for entry in parsed.metadata or [] if entry.name != _tflite_layout.ENTRY.encode()]
    for tensor in graph.tensors:
        tensor.shapeSignature = None
    model = bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))
    attempt("is refused by LiteRT", lambda: _check(model, inputs))
    return model


def _alone(parsed: Any, graph: Any) -> None:
    """Leave out the graphs of other signatures, where no operator of this one calls another: nobody will ask for them,
    and what quantizes would keep their weights beside this one's.
    """
    options = (own for each in graph.operators for own in (each.builtinOptions, each.builtinOptions2) if own)
    if len(parsed.subgraphs) == 1 or any("subgraph" in key.lower() for own in options for key in vars(own)):
        return
    parsed.subgraphs = [graph]
    used = {tensor.buffer for tensor in graph.tensors} | {entry.buffer for entry in parsed.metadata or []}
    for number, buffer in enumerate(parsed.buffers):
        if number not in used:
            buffer.data = None


def content(path: Path) -> bytes:
    """The bytes of a file; UsageError for what is no TFLite model."""
    data = path.read_bytes()
    if data[_MARK[0]] != _MARK[1]:
        raise UsageError("is no TFLite model: its identifier is missing")
    return data


def integer(model: bytes) -> str | None:
    """The first type of quantized values, in blocks or not; None for a float file."""
    from ai_edge_litert.tools import flatbuffer_utils

    for tensor in flatbuffer_utils.read_model_from_bytearray(bytearray(model)).subgraphs[0].tensors:
        how = tensor.quantization
        scaled = how is not None and ((how.scale is not None and len(how.scale)) or how.detailsType == _BLOCKS)
        if tensor.type in _INTEGER and scaled:
            return _INTEGER[tensor.type]
    return None


def _check(model: bytes, inputs: Sequence[TensorSpec]) -> None:
    """UsageError where the declared inputs contradict the file; what the runtime raises where it refuses it."""
    from edgebuild.travels import load_tflite

    ports = load_tflite.Model(model, {}).inputs
    described = ", ".join(f"{one.name!r} {_shown(one.shape)} {_dtype(one)}" for one in ports)
    names, declared = [one.name for one in ports], [spec.name for spec in inputs]
    if len(ports) != len(inputs) or (len(ports) > 1 and names != declared):
        raise UsageError(f"takes {described}: [[inputs]] must name these, in this order")
    for one, spec in zip(ports, inputs, strict=True):
        whole = tuple(one.shape) == spec.shape and lacks(spec.shape)  # `_tflite_batch` puts the axis in front
        shape = spec.shape if whole else (1, *spec.shape)
        fits = len(one.shape) == len(shape) and all(size in (-1, shape[axis]) for axis, size in enumerate(one.shape))
        if not fits or (not one.scale and _dtype(one) != spec.dtype):
            message = (
                f"takes {described}, which cannot be {list(shape)} {spec.dtype}, the declared shape of one example"
            )
            raise UsageError(message)


def _open(model: bytes, inputs: Sequence[TensorSpec]) -> dict[int, Shape]:
    """The declared shapes of inputs of which another axis than those of 1 is open, by their tensors.

    An open axis is stored with the size 1, which is what the shapes behind it were computed for.
    """
    from edgebuild.travels import load_tflite

    ports = load_tflite.Model(model, {}).inputs
    shapes = {port.key: (1, *spec.shape) for port, spec in zip(ports, inputs, strict=True) if -1 in port.shape}
    larger = any(size == -1 and shapes[port.key][axis] != 1 for port in ports for axis, size in enumerate(port.shape))
    return shapes if larger else {}


def _unbatched(model: bytes, graph: Any, inputs: Sequence[TensorSpec]) -> tuple[list[int], list[tuple[int, Shape]]]:
    """The places of the inputs that are declared as the file has them, and of the outputs whose answers to zeros have
    no batch axis, with their shapes.
    """
    import numpy as np

    from edgebuild.travels import load_tflite

    loaded = load_tflite.Model(model, {})
    whole = [len(port.shape) == len(spec.shape) for port, spec in zip(loaded.inputs, inputs, strict=True)]
    zeros = [
        np.zeros(spec.shape if own else (1, *spec.shape), spec.dtype) for spec, own in zip(inputs, whole, strict=True)
    ]
    shapes = [tuple(values.shape) for values in loaded.answer(zeros)]
    batched = [[*graph.inputs].index(port.key) for port, own in zip(loaded.inputs, whole, strict=True) if own]
    answered = [
        ([*graph.outputs].index(port.key), shape)
        for port, shape in zip(loaded.outputs, shapes, strict=True)
        if lacks(shape)
    ]
    return batched, answered


def _dtype(port: Any) -> str:
    import numpy as np

    return str(np.dtype(port.dtype))


def _shown(shape: Sequence[int]) -> str:
    return f"[{', '.join('?' if size < 0 else str(size) for size in shape)}]"


def _widen(model: Any, graph: Any) -> None:
    """Make float16 weights float32 (in place), so that layers have weights and not what an operator makes of them."""
    import numpy as np

    widening = [operator for operator in graph.operators if _widens(model, graph, operator)]
    halves = {graph.tensors[operator.inputs[0]].buffer for operator in widening}
    for operator in widening:  # several may read one tensor, or tensors of one buffer
        source, wide = (graph.tensors[side[0]] for side in (operator.inputs, operator.outputs))
        half = np.frombuffer(bytes(model.buffers[source.buffer].data), np.float16)
        model.buffers.append(type(model.buffers[0])())
        model.buffers[-1].data = half.astype(np.float32).view(np.uint8)
        wide.buffer, wide.type = len(model.buffers) - 1, _FLOAT32
    for number in halves:
        model.buffers[number].data = None
    graph.operators = [operator for operator in graph.operators if operator not in widening]


def _widens(model: Any, graph: Any, operator: Any) -> bool:
    from ai_edge_litert.tools import flatbuffer_utils

    if flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) != "DEQUANTIZE":
        return False
    source = graph.tensors[operator.inputs[0]]
    return source.type == _FLOAT16 and model.buffers[source.buffer].data is not None


def _empty(model: Any) -> None:
    """What is stored with no bytes is stored not at all (in place), but for tensors of no values: written back it would
    be a constant without its bytes.
    """
    sized = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors if 0 not in (tensor.shape or ())}
    for number in sized:
        if model.buffers[number].data is not None and not len(model.buffers[number].data):
            model.buffers[number].data = None


def _name(graphs: Sequence[Any]) -> None:
    """Give every tensor a name of its own (in place), those of graphs within operators too: statistics go by name."""
    taken = set[bytes]()
    for tensor in (tensor for graph in graphs for tensor in graph.tensors):
        name = bytes(tensor.name or b"tensor")
        numbered = (b"%s_%d" % (name, number) for number in itertools.count(len(taken)))
        tensor.name = next(
            each for each in itertools.chain([name] if tensor.name else [], numbered) if each not in taken
        )
        taken.add(tensor.name)
