"""Gives the open axes of a TFLite file their sizes, and every tensor behind them the shape that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def sized(model: bytes, shapes: Mapping[int, Sequence[int]]) -> bytes:
    """The file with these shapes of its inputs, by their tensors; RuntimeError where an operator has others baked in.

    The shapes behind them are those that LiteRT has once it ran on zeros: the file's own are of open axes of 1.
    """
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    from ai_edge_litert.tools import flatbuffer_utils

    interpreter = Interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    for tensor, shape in shapes.items():
        interpreter.resize_tensor_input(tensor, shape, strict=True)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    interpreter.invoke()
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    tensors = parsed.subgraphs[0].tensors
    for detail in interpreter.get_tensor_details():  # the runtime's own come behind those of the file
        if detail["index"] < len(tensors) and parsed.buffers[tensors[detail["index"]].buffer].data is None:
            tensors[detail["index"]].shape = [*map(int, detail["shape"])]
            tensors[detail["index"]].shapeSignature = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))
