"""What of a .tflite file is in memory when, by the file's own order of operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebuild.formats import _lifetimes
from edgebuild.spec.lifetime import Lifetime

if TYPE_CHECKING:
    import numpy as np


def lifetimes(model: bytes) -> tuple[Lifetime, ...]:
    """The activations of the main graph, each in its own type; those of inner graphs (loops) are not counted."""
    from ai_edge_litert.tools import flatbuffer_utils

    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(model)).subgraphs[0]
    sizes = {index: values.nbytes for index, values in shaped(model).items()}
    operators = [(map(int, operator.inputs), map(int, operator.outputs)) for operator in graph.operators]
    return _lifetimes.of_graph(operators, map(int, graph.inputs), map(int, graph.outputs), sizes)


def shaped(model: bytes) -> dict[int, np.ndarray[Any, Any]]:
    """An array of the shape and type of each tensor of the main graph, by its index; all zeros and no memory."""
    import numpy as np
    from ai_edge_litert import interpreter

    plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    running = interpreter.Interpreter(model_content=model, experimental_op_resolver_type=plain, num_threads=1)
    running.allocate_tensors()  # which settles the shapes
    details = running.get_tensor_details()
    return {one["index"]: np.broadcast_to(np.zeros((), one["dtype"]), one["shape"].tolist()) for one in details}
