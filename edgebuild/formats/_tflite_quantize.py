"""Quantizes .tflite files with ai-edge-quantizer, on ranges of our own."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from edgebuild.formats import _masks, _places, _tail, _tflite_graph, _tflite_large
from edgebuild.formats._layers import kept, refuse_without_kernel
from edgebuild.formats._masks import Operation
from edgebuild.spec.errors import UsageError
from edgebuild.spec.quantization import Quantization, Range
from edgebuild.spec.spread import Spread, stands_for_none

# Operators that the delegate computes fast, by technique and weights. In its place other kernels run for int4
# convolutions (1.1 to 2 times the time of float) and for depthwise convolutions with dynamic ranges (2 to 7 times).
_FAST: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("static", "int8"): ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE", "FULLY_CONNECTED"),
    ("dynamic", "int8"): ("CONV_2D", "CONV_2D_TRANSPOSE", "FULLY_CONNECTED", "EMBEDDING_LOOKUP"),
    ("dynamic", "int4"): ("FULLY_CONNECTED", "EMBEDDING_LOOKUP"),
    ("weights_only", "int8"): ("ALL_SUPPORTED",),
    ("weights_only", "float16"): ("ALL_SUPPORTED",),
}

# What the quantizer appends to the name of a constant that it copies: one that layers share has a scale for each.
_DUPLICATED = re.compile(r"(_duplicated_\d+)+$")

# Where the weights of convolutions stand among their inputs.
_CONVOLUTIONS: Mapping[str, int] = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "TRANSPOSE_CONV": 1}

# Operators that run a graph of the file's.
_CALLERS = ("CALL", "IF", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE", "WHILE")

# As often weights are read at least that are of a recurrent layer: heads of a detector share theirs over fewer scales.
_STEPS = 8

_BIASED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def static(model: bytes, ranges: Mapping[str, Range], how: Quantization) -> bytes:
    """Integer kernels with the weights of `how`, activations in `ranges`.

    Where an operator between the layers has no integer kernel the delegate must hand over and take back; if that
    cuts the file into more parts than the float one has, only the layers are quantized (`operators` "auto").
    """
    model = with_flat_biases(model)
    if how.operators != "auto":
        return _static(model, ranges, how)
    whole = _static(model, ranges, replace(how, operators="all"))
    if parts(whole) <= parts(model):
        return whole
    return _static(model, ranges, replace(how, operators="layers"))


def with_flat_biases(model: bytes) -> bytes:
    """The file with biases of one axis: a factor behind a layer leaves its bias with four, and a scale for each of its
    channels has no place there.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = parsed.subgraphs[0]
    kinds = [flatbuffer_utils.opcode_to_name(parsed, one.opcodeIndex) for one in graph.operators]
    pairs = zip(kinds, graph.operators, strict=True)
    biased = [int(one.inputs[2]) for kind, one in pairs if kind in _BIASED and len(one.inputs) > 2]
    read = Counter(int(place) for one in graph.operators for place in one.inputs)
    wide = [graph.tensors[place] for place in biased if place >= 0 and read[place] == biased.count(place)]
    wide = [bias for bias in wide if len(bias.shape) > 1 and math.prod(bias.shape) == bias.shape[-1]]
    for bias in wide:
        bias.shape = bias.shape[-1:]
        bias.shapeSignature = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed)) if wide else model


def parts(model: bytes) -> int:
    """Into how many parts LiteRT's delegate for the CPU takes the file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    return sum(operator["op_name"] == "DELEGATE" for operator in interpreter._get_ops_details())


def _static(model: bytes, ranges: Mapping[str, Range], how: Quantization) -> bytes:
    from ai_edge_quantizer import qtyping

    activations = qtyping.TensorQuantizationConfig(num_bits=8, symmetric=how.symmetric)
    job = _job(model, how, activation_tensor_config=activations, compute_precision=qtyping.ComputePrecision.INTEGER)
    # Embeddings have no kernel with fixed ranges: the rows that are looked up are widened.
    table = qtyping.OpQuantizationConfig(
        weight_tensor_config=_weights(how), compute_precision=qtyping.ComputePrecision.INTEGER
    )
    job.update_quantization_recipe(".*", qtyping.TFLOperationName.EMBEDDING_LOOKUP, table)
    if how.borders == "float32":
        _leave(job, ".*", (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT))
    _keep(job, model, how)
    layer_outputs = {layer.result for layer in _tflite_graph.layers(model)}
    ends = [_tflite_graph.ends(model)[1][place] for place in how.apart]
    for one in (
        *_masks.touching(ranges, operations(model)),
        *_tail.tail(operations(model), ends, layer_outputs),
        *_places.reckoning(operations(model), layer_outputs),
        *(_readers(model) if how.borders == "float32" else ()),
        *_inner(model),
        *_callers(model),
        *_weightless(model),
    ):
        _leave(job, f"^{re.escape(';'.join(one.outputs))};$", (qtyping.TFLOperationName.ALL_SUPPORTED,))
    return mend_dead_channels(_run(job, _statistics(model, _of_steps(model, _masks.usable(ranges)))), model)


def _of_steps(model: bytes, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The ranges, with one for what a layer reads in all steps of time: a recurrent layer is written out step by step,
    and its bias, which is in steps of the input's scale, would be there once for each, with a scale a channel.
    """
    sources: dict[str, list[str]] = {}
    for one in _tflite_graph.operators(model):
        if one.kind == "FULLY_CONNECTED" and one.inputs[1] in one.constants and one.inputs[0] in ranges:
            sources.setdefault(one.inputs[1], []).append(one.inputs[0])
    shared = dict(ranges)
    for names in (each for each in sources.values() if len(each) >= _STEPS):
        ends = [ranges[name] for name in names]
        shared |= dict.fromkeys(names, (min(low for low, _ in ends), max(high for _, high in ends)))
    return shared


def _readers(model: bytes) -> list[Operation]:
    """The operations that read an output: the quantizer gives them the float one that a caller gets, and no integer
    kernel takes that.
    """
    outputs = set(_tflite_graph.ends(model)[1])
    return [one for one in operations(model) if outputs.intersection(one.inputs)]


def _inner(model: bytes) -> list[Operation]:
    """The operations of graphs within operators (branches, loops, what a reduction does): nothing calibrates them."""
    return [Operation(one.kind, one.inputs, one.outputs) for one in _tflite_graph.inner_operators(model)]


def _callers(model: bytes) -> list[Operation]:
    """The operations that such graphs are within: what goes in and out of those is float."""
    return [one for one in operations(model) if one.kind in _CALLERS]


def _weightless(model: bytes) -> list[Operation]:
    """Convolutions whose weights are computed: kernels take those with a scale a channel and no zero point alone."""
    return [
        Operation(one.kind, one.inputs, one.outputs)
        for one in _tflite_graph.operators(model)
        if one.kind in _CONVOLUTIONS and one.inputs[_CONVOLUTIONS[one.kind]] not in one.constants
    ]


def operations(model: bytes) -> list[Operation]:
    """The operators in order of execution."""
    return [Operation(one.kind, one.inputs, one.outputs) for one in _tflite_graph.operators(model)]


def with_masks(model: bytes, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The ranges, less those of tensors that hold a mask (see `_masks.with_masks`)."""
    floats = _tflite_graph.constants(model)
    far = {name for name, value in floats.items() if stands_for_none(value)}
    infinite = {name for name in far if Spread.of(floats[name]).infinite}
    return _masks.with_masks(ranges, operations(model), infinite, far)


def dynamic(model: bytes, how: Quantization) -> bytes:
    """Integer weights; the kernels quantize each activation when they see it.

    UsageError for int4 where a layer has no such kernel.
    """
    from ai_edge_quantizer import qtyping

    if how.weights == "int4":
        covered = frozenset(_FAST[how.technique, how.weights])
        refuse_without_kernel(_tflite_graph.layers(model), covered, how, "LiteRT")
    job = _job(model, how, compute_precision=qtyping.ComputePrecision.INTEGER)
    _keep(job, model, how)
    return _run(job)


def weights_only(model: bytes, how: Quantization) -> bytes:
    """Small weights, widened to float32 for float kernels."""
    from ai_edge_quantizer import qtyping, quantizer

    half = how.weights == "float16"
    by = quantizer.AlgorithmName.FLOAT_CASTING if half else quantizer.AlgorithmName.MIN_MAX_UNIFORM_QUANT
    job = _job(model, how, by, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True)
    _keep(job, model, how)
    return _run(job)


def _job(model: bytes, how: Quantization, by: str = "min_max_uniform_quantize", **config: Any) -> Any:
    from ai_edge_quantizer import qtyping, quantizer

    job = quantizer.Quantizer(model)
    settings = qtyping.OpQuantizationConfig(weight_tensor_config=_weights(how), **config)
    for kind in ("ALL_SUPPORTED",) if how.operators == "all" else _FAST[how.technique, how.weights]:
        job.update_quantization_recipe(".*", qtyping.TFLOperationName[kind], settings, by)
    return job


_BITS = {"int4": 4, "int8": 8, "float16": 16}


def _weights(how: Quantization) -> Any:
    from ai_edge_quantizer import qtyping

    if how.weights == "float16":
        return qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    sizes = {"tensor": "TENSORWISE", "channel": "CHANNELWISE", "block": f"BLOCKWISE_{how.block}"}
    granularity = qtyping.QuantGranularity[sizes[how.granularity]]
    return qtyping.TensorQuantizationConfig(num_bits=_BITS[how.weights], granularity=granularity)


def _keep(job: Any, model: bytes, how: Quantization) -> None:
    """Let the layers of `how.keep` stay float."""
    from ai_edge_quantizer import qtyping

    for layer in kept(_tflite_graph.layers(model), how):
        _leave(job, f"^{re.escape(layer.result)};$", (qtyping.TFLOperationName.ALL_SUPPORTED,))


def _leave(job: Any, scope: str, kinds: Iterable[Any]) -> None:
    from ai_edge_quantizer import quantizer

    for kind in kinds:
        job.update_quantization_recipe(scope, kind, None, quantizer.AlgorithmName.NO_QUANTIZE)


def _statistics(model: bytes, ranges: Mapping[str, Range]) -> dict[str, dict[str, Any]]:
    """Ranges as the quantizer wants them: arrays of the tensor's rank."""
    import numpy as np
    from ai_edge_litert.tools import flatbuffer_utils

    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(model)).subgraphs[0]
    rank = {tensor.name.decode(): len(tensor.shape) for tensor in graph.tensors}
    return {
        name: {"min": np.full([1] * rank[name], low, np.float32), "max": np.full([1] * rank[name], high, np.float32)}
        for name, (low, high) in ranges.items()
    }


def mend_dead_channels(quantized: bytes, model: bytes) -> bytes:
    """Give every output channel without weights the scale of its neighbours, and its bias anew from the float file.

    The quantizer's scale there is next to 0, and the bias in such steps overflows: the channel came out as 0.
    """
    import numpy as np
    from ai_edge_litert.tools import flatbuffer_utils

    biases = _tflite_graph.constants(model)
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(quantized))
    tensors = parsed.subgraphs[0].tensors
    mended: dict[int, Any] = {}
    for operator in parsed.subgraphs[0].operators:
        if len(operator.inputs) != 3 or operator.inputs[2] < 0:
            continue
        source, weights, bias = (tensors[int(i)] for i in operator.inputs)
        steps = weights.quantization and weights.quantization.scale
        if steps is None or source.quantization is None or source.quantization.scale is None:
            continue
        scale = mended.setdefault(int(operator.inputs[1]), _usual(np.asarray(steps, np.float32)))
        if (scale != steps).any():
            step = np.float32(source.quantization.scale[0]) * scale
            own = _DUPLICATED.sub("", bias.name.decode())
            whole = np.round(biases[own] / step).astype(np.int32)
            weights.quantization.scale, bias.quantization.scale = scale, step
            parsed.buffers[bias.buffer].data = whole.view(np.uint8)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


def _usual(scale: Any) -> Any:
    """The scales, those of dead channels (where 1e-9 stood for the largest weight) replaced by the median."""
    import numpy as np

    dead = scale < 1e-9 / 7 * 1.01
    return np.where(dead, np.median(scale[~dead]) if not dead.all() else 1 / 127, scale).astype(np.float32)


def _run(job: Any, statistics: dict[str, Any] | None = None) -> bytes:
    """The quantized file; UsageError with the quantizer's own words when it refuses the model."""
    import numpy as np

    try:
        with np.errstate(invalid="ignore"), _tflite_large.in_pieces():  # the bias of a dead channel is mended later
            return bytes(job.quantize(statistics, enable_progress_report=False).quantized_model)
    except ValueError as error:
        raise UsageError(f"the model cannot be quantized so: {error}", key="tflite") from None
