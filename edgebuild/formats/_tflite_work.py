"""What the operators of a .tflite file do, by the shapes that its interpreter settles."""

from __future__ import annotations

from typing import Any

from edgebuild.formats import _tflite_memory, _work
from edgebuild.spec.work import Work

# How products are counted, and where data and weights stand among the inputs.
_RULES: dict[str, tuple[_work.Rule, int, int]] = {
    "CONV_2D": ("convolution", 0, 1),
    "DEPTHWISE_CONV_2D": ("depthwise", 0, 1),
    "TRANSPOSE_CONV": ("transposed last", 2, 1),
    "FULLY_CONNECTED": ("matrix", 0, 1),
    "BATCH_MATMUL": ("matrix", 0, 1),
}


def work(model: bytes) -> tuple[Work, ...]:
    """One for each operator of the main graph; what inner graphs (loops) do is not counted."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    tensors = _tflite_memory.shaped(model)
    works = []
    for operator in parsed.subgraphs[0].operators:
        kind = flatbuffer_utils.opcode_to_name(parsed, operator.opcodeIndex) or "CUSTOM"
        taken = [tensors.get(int(index)) for index in operator.inputs]
        written = [tensors[int(index)] for index in operator.outputs]
        works.append(_work.of_operator(kind, _settings(operator), taken, written, _RULES.get(kind)))
    return tuple(works)


def _settings(operator: Any) -> str:
    options = vars(operator.builtinOptions) if operator.builtinOptions is not None else {}
    return " ".join(f"{name}={options[name]}" for name in sorted(options))
