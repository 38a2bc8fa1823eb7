"""Quantizes ONNX files with ONNX Runtime's quantizer, on ranges of our own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import suggest
from edgebuild.spec.quantization import Layer, Quantization, Range

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Sample = tuple[np.ndarray[Any, Any], ...]

# Where an operator's weights stand among its inputs.
_WEIGHTS = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1, "Gather": 0, "LSTM": 1, "GRU": 1}


def ready(model: bytes) -> onnx.ModelProto:
    """The float model with shapes inferred and constants folded, as the quantizer wants it."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ready.onnx")
        quant_pre_process(onnx.load_from_string(model), path)
        return onnx.load(path)


def layers(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """The operators with weights, in the file's order."""
    weights = {tensor.name for tensor in model.graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = []
    for node in model.graph.node:
        place = _WEIGHTS.get(node.op_type, -1)
        if 0 <= place < len(node.input) and node.input[place] in weights:
            source, result = node.input[1 - place], _activated(node.output[0], readers)
            found.append(Layer(short(node.name), node.op_type, source, result))
    return tuple(found)


def short(name: str) -> str:
    """A node's name as exported: the optimizer appends what it fused."""
    return name.partition("/")[0]


def _activated(name: str, readers: Mapping[str, Sequence[onnx.NodeProto]]) -> str:
    """The tensor after a ReLU that alone reads `name`: the two share one range."""
    following = readers.get(name, [])
    fused = len(following) == 1 and following[0].op_type in ("Relu", "Clip")
    return following[0].output[0] if fused else name


def activations(model: onnx.ModelProto, samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
    """Every float tensor that the runtime computes, inputs included, for one sample after another."""
    import onnx
    import onnxruntime

    graph, kinds = model.graph, onnx.TensorProto
    floats = [value.name for value in graph.value_info if value.type.tensor_type.elem_type == kinds.FLOAT]
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    given = {value.name for value in graph.output}
    whole.graph.output.extend(value for value in graph.value_info if value.name in {*floats} - given)
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs() if value.type == "tensor(float)"]
    for sample in samples:
        feed = dict(zip([value.name for value in graph.input], sample, strict=True))
        found = dict(zip(names, session.run(names, feed), strict=True))
        yield found | {name: value for name, value in feed.items() if value.dtype == "float32"}


def static(model: onnx.ModelProto, ranges: Mapping[str, Range], how: Quantization) -> onnx.ModelProto:
    """QDQ with the weights of `how`, activations in `ranges`."""
    import numpy as np
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    pairs = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
    quantizer = QDQQuantizer(
        model,
        how.granularity == "channel",
        False,  # all 8 bits of the weights
        QuantType.QInt8,
        QuantType.QUInt8 if how.activations == "uint8" else QuantType.QInt8,
        TensorsData(CalibrationMethod.MinMax, pairs),
        [],
        excluded(model, how),
        sorted({*QDQRegistry, *QLinearOpsRegistry}),
        {"WeightSymmetric": True, "ActivationSymmetric": how.symmetric},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    return quantizer.model.model


def excluded(model: onnx.ModelProto, how: Quantization) -> list[str]:
    """Names of the nodes that stay float; UsageError for a layer that is not there."""
    known = {layer.name for layer in layers(model)}
    for name in how.keep:
        if name not in known:
            raise UsageError(f"the file has no layer {name!r}", key="keep", hint=suggest(name, known))
    return [node.name for node in model.graph.node if short(node.name) in how.keep]
