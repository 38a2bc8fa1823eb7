"""What a .tflite file is: read and opened, and nothing of it changed."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from edgebuild.formats import _ends, _tflite_adopt
from edgebuild.formats._adopted import attempt
from edgebuild.spec.look import Look, Port
from edgebuild.travels.load_tflite import numbered

_MOVING = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "CAST", "QUANTIZE", "DEQUANTIZE")
_SHARES = ("LOGISTIC", "SOFTMAX")
_LAYERS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "BATCH_MATMUL")
_LABELS = 1 << 20  # bytes of a file of labels, at most


def look(path: Path) -> Look:
    """UsageError for what is no TFLite model, or what LiteRT refuses."""
    from edgebuild.travels import load_tflite

    content = _tflite_adopt.content(path)
    model = attempt("is refused by LiteRT", lambda: load_tflite.Model(content, {}))
    operators, parameters, kinds = attempt("cannot be read", lambda: _counted(content))
    ends = dict(zip([port.name for port in model.outputs], kinds, strict=False))  # a damaged file may name other ones
    return Look(
        "TFLite model",
        tuple(map(_port, model.inputs)),
        tuple(map(_port, model.outputs)),
        operators,
        parameters,
        len(content),
        integer=_tflite_adopt.integer(content),
        classes=_classes(path),
        notes=attempt("cannot be read", lambda: _signatures(content)),
        probabilities=tuple(name for name, kind in ends.items() if kind in _SHARES),
        logits=tuple(name for name, kind in ends.items() if kind in _LAYERS),
    )


def _signatures(content: bytes) -> tuple[str, ...]:
    """A line on the signatures that are left out, those of another graph than the first."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    others = [each.signatureKey.decode() for each in parsed.signatureDefs or [] if each.subgraphIndex]
    names = ", ".join(map(repr, others))
    which = "signature" if len(others) == 1 else "signatures"
    return (f"the first graph of the file is taken, and not what it has for the {which} {names}",) if others else ()


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


def _counted(content: bytes) -> tuple[dict[str, int], int, list[str]]:
    """How often there is each operator, the elements of all constants that are no shapes or indices, and the operator
    that each output comes from.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for code in parsed.operatorCodes:  # before 2021 the other field had it
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
    names = [flatbuffer_utils.opcode_to_name(parsed, number) or "CUSTOM" for number in range(len(parsed.operatorCodes))]
    counts = Counter(names[operator.opcodeIndex] for graph in parsed.subgraphs for operator in graph.operators)
    stored = {
        tensor.buffer: math.prod(map(int, tensor.shape)) if tensor.shape is not None else 1
        for graph in parsed.subgraphs
        for tensor in graph.tensors
        if parsed.buffers[tensor.buffer].data is not None and tensor.type in _tflite_adopt.LEARNT
    }
    return dict(counts.most_common()), sum(stored.values()), _kinds(parsed, names)


def _kinds(parsed: Any, names: list[str]) -> list[str]:
    """Those of the operators that the outputs come from, in the order of arguments; tensors need have no names."""
    graph = parsed.subgraphs[0]
    constant = [parsed.buffers[tensor.buffer].data is not None for tensor in graph.tensors]
    makers = {
        int(output): _ends.Maker(
            names[operator.opcodeIndex],
            tuple(map(int, operator.inputs)),
            any(constant[number] for number in operator.inputs if number >= 0),
        )
        for operator in graph.operators
        for output in operator.outputs
    }
    entries = {entry.name.decode(): entry for each in (parsed.signatureDefs or [])[:1] for entry in each.outputs}
    outputs = [int(entries[name].tensorIndex) for name in numbered(entries)] or [int(each) for each in graph.outputs]
    kinds = _ends.kinds(outputs, makers, _MOVING, "ADD")
    return [kinds[number] for number in outputs]
