"""What a .tflite file is: read and opened, and nothing of it changed."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from edgebuild.formats import _ends, _tflite_adopt, _tflite_graph
from edgebuild.formats._adopted import attempt
from edgebuild.spec.look import Look, Port

_MOVING = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "CAST", "QUANTIZE", "DEQUANTIZE")
_SHARES = ("LOGISTIC", "SOFTMAX")
_LAYERS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "BATCH_MATMUL")
_LABELS = 1 << 20  # bytes of a file of labels, at most


def look(path: Path) -> Look:
    """UsageError for what is no TFLite model, or what LiteRT refuses."""
    from edgebuild.travels import load_tflite

    content = _tflite_adopt.content(path)
    model = attempt("is refused by LiteRT", lambda: load_tflite.Model(content, {}))
    operators, parameters = attempt("cannot be read", lambda: _counted(content))
    kinds = attempt("cannot be read", lambda: _kinds(content))
    ends = dict(zip([port.name for port in model.outputs], kinds, strict=True))
    return Look(
        "TFLite model",
        tuple(map(_port, model.inputs)),
        tuple(map(_port, model.outputs)),
        operators,
        parameters,
        len(content),
        integer=_tflite_adopt.integer(content),
        classes=_classes(path),
        probabilities=tuple(name for name, kind in ends.items() if kind in _SHARES),
        logits=tuple(name for name, kind in ends.items() if kind in _LAYERS),
    )


def _kinds(content: bytes) -> list[str]:
    """Those of the operators that the outputs come from."""
    makers = {
        name: _ends.Maker(operator.kind, operator.inputs, bool(operator.constants))
        for operator in _tflite_graph.operators(content)
        for name in operator.outputs
    }
    _, outputs = _tflite_graph.ends(content)
    kinds = _ends.kinds(outputs, makers, _MOVING, "ADD")
    return [kinds[name] for name in outputs]


def _classes(path: Path) -> tuple[str, ...]:
    """The classes of the one file of labels that its metadata carries: they are a zip archive behind the model."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = [info for info in archive.infolist() if "label" in info.filename.lower()]
            if len(files) != 1 or not files[0].filename.endswith(".txt") or files[0].file_size > _LABELS:
                return ()
            lines = archive.read(files[0]).decode("utf-8").splitlines()
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, UnicodeDecodeError):
        return ()
    return tuple(line.strip() for line in lines if line.strip())


def _port(port: Any) -> Port:
    import numpy as np

    return Port(port.name, tuple(size if size >= 0 else "?" for size in port.shape), str(np.dtype(port.dtype)))


def _counted(content: bytes) -> tuple[dict[str, int], int]:
    """How often there is each operator, and the elements of all constants that are no shapes or indices."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for code in parsed.operatorCodes:  # before 2021 the other field had it
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
    kinds = (operator.opcodeIndex for graph in parsed.subgraphs for operator in graph.operators)
    counts = Counter(flatbuffer_utils.opcode_to_name(parsed, kind) or "CUSTOM" for kind in kinds)
    stored = {
        tensor.buffer: math.prod(map(int, tensor.shape)) if tensor.shape is not None else 1
        for graph in parsed.subgraphs
        for tensor in graph.tensors
        if parsed.buffers[tensor.buffer].data is not None and tensor.type in _tflite_adopt.LEARNT
    }
    return dict(counts.most_common()), sum(stored.values())
