"""What of a .tflite file is in memory when, by the file's own order of operators."""

from __future__ import annotations

import math

from edgebuild.formats import _lifetimes
from edgebuild.spec.lifetime import Lifetime


def lifetimes(model: bytes) -> tuple[Lifetime, ...]:
    """The activations of the main graph, each in its own type; those of inner graphs (loops) are not counted."""
    import numpy as np
    from ai_edge_litert import interpreter
    from ai_edge_litert.tools import flatbuffer_utils

    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(model)).subgraphs[0]
    plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    running = interpreter.Interpreter(model_content=model, experimental_op_resolver_type=plain, num_threads=1)
    running.allocate_tensors()  # which settles the shapes
    details = {one["index"]: one for one in running.get_tensor_details()}
    sizes = {i: math.prod(one["shape"].tolist()) * np.dtype(one["dtype"]).itemsize for i, one in details.items()}
    operators = [(map(int, operator.inputs), map(int, operator.outputs)) for operator in graph.operators]
    return _lifetimes.of_graph(operators, map(int, graph.inputs), map(int, graph.outputs), sizes)
