"""TFLite files of one operator, written field by field: what a converter of ours would never write."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

TYPES = {"float32": 0, "float16": 1, "int32": 2, "int64": 4, "bool": 6}


def file(
    kind: str,
    inputs: Sequence[tuple[int, ...]],
    output: Sequence[tuple[int, ...]] | tuple[int, ...],
    constants: dict[int, Any] | None = None,
    options: str = "",
    dtype: str = "float32",
    types: Sequence[str] = (),
    **fields: Any,
) -> bytes:
    """A model whose only operator has `constants` at these places among its inputs, and `inputs` at the others.

    types: of the outputs, where they are not the usual ones
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    held = {place: np.asarray(values) for place, values in (constants or {}).items()}
    shapes = [output] if isinstance(output[0], int) else output
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, graph.tensors = 3, [schema.BufferT()], []

    def tensor(name: str, shape: Sequence[int], kind: str, values: Any = None) -> int:
        one = schema.TensorT()
        one.name, one.shape, one.type, one.buffer = name.encode(), [*shape], TYPES[kind], 0
        if values is not None:
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(values.tobytes(), np.uint8)
            one.buffer = len(model.buffers) - 1
        graph.tensors.append(one)
        return len(graph.tensors) - 1

    free = iter(inputs)
    taken, given = [], []
    for place in range(len(inputs) + len(held)):
        if place in held:
            values = held[place]
            taken.append(tensor(f"held/{place}", values.shape, str(values.dtype), values))
        else:
            taken.append(tensor(f"in/{place}", next(free), dtype))
            given.append(taken[-1])
    operator = schema.OperatorT()
    operator.inputs, operator.opcodeIndex = taken, 0
    answers = "int64" if kind in ("ARG_MAX", "ARG_MIN") else "bool" if kind == "GREATER" else dtype
    ends = itertools.zip_longest(shapes, types)
    operator.outputs = [tensor(f"out/{place}", shape, own or answers) for place, (shape, own) in enumerate(ends)]
    if options:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(schema, f"{options}T")()
        for name, value in fields.items():
            assert hasattr(operator.builtinOptions, name), name
            setattr(operator.builtinOptions, name, value)
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    graph.inputs, graph.outputs, graph.operators = given, list(operator.outputs), [operator]
    model.operatorCodes, model.subgraphs, model.signatureDefs = [code], [graph], []
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def changed(content: bytes, change: Callable[[Any], Any]) -> bytes:
    """The file after a change of its parts, as flatbuffer_utils reads them."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    change(parsed)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))
