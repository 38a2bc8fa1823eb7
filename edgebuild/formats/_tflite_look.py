"""What a .tflite file is: read and opened, and nothing of it changed."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from edgebuild.formats import _tflite_adopt, _tflite_graph
from edgebuild.formats._adopted import attempt
from edgebuild.spec.look import Look, Port


def look(path: Path) -> Look:
    """UsageError for what is no TFLite model, or what LiteRT refuses."""
    from edgebuild.travels import load_tflite

    content = _tflite_adopt.content(path)
    model = attempt("is refused by LiteRT", lambda: load_tflite.Model(content, {}))
    operators = attempt("cannot be read", lambda: _tflite_graph.operators(content))
    return Look(
        "TFLite model",
        tuple(map(_port, model.inputs)),
        tuple(map(_port, model.outputs)),
        dict(Counter(one.kind for one in operators).most_common()),
        attempt("cannot be read", lambda: _parameters(content)),
        len(content),
        integer=_tflite_adopt.integer(content),
    )


def _port(port: Any) -> Port:
    import numpy as np

    return Port(port.name, tuple(size if size >= 0 else "?" for size in port.shape), str(np.dtype(port.dtype)))


def _parameters(content: bytes) -> int:
    """Elements of all constants that are no shapes or indices."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    tensors = (tensor for graph in parsed.subgraphs for tensor in graph.tensors)
    stored = {
        tensor.buffer: math.prod(map(int, tensor.shape)) if tensor.shape is not None else 1
        for tensor in tensors
        if parsed.buffers[tensor.buffer].data is not None and tensor.type in _tflite_adopt.LEARNT
    }
    return sum(stored.values())
