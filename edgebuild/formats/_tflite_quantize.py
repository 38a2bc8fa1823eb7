"""Quantizes .tflite files with ai-edge-quantizer, on ranges of our own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _tflite_graph
from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import suggest
from edgebuild.spec.quantization import Quantization, Range

if TYPE_CHECKING:
    from collections.abc import Iterable


def static(model: bytes, ranges: Mapping[str, Range], how: Quantization) -> bytes:
    """Integer kernels with the weights of `how`, activations in `ranges`."""
    from ai_edge_quantizer import qtyping, quantizer

    config = qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(num_bits=8, symmetric=how.symmetric),
        weight_tensor_config=_weights(how),
        compute_precision=qtyping.ComputePrecision.INTEGER,
    )
    job = quantizer.Quantizer(model)
    job.update_quantization_recipe(".*", qtyping.TFLOperationName.ALL_SUPPORTED, config)
    if how.borders == "float32":
        _leave(job, ".*", (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT))
    _keep(job, model, how)
    return _run(job, _statistics(model, ranges))


def _weights(how: Quantization) -> Any:
    from ai_edge_quantizer import qtyping

    sizes = {"tensor": "TENSORWISE", "channel": "CHANNELWISE", "block": f"BLOCKWISE_{how.block}"}
    granularity = qtyping.QuantGranularity[sizes[how.granularity]]
    return qtyping.TensorQuantizationConfig(num_bits=4 if how.weights == "int4" else 8, granularity=granularity)


def _keep(job: Any, model: bytes, how: Quantization) -> None:
    """Let the layers of `how.keep` stay float."""
    from ai_edge_quantizer import qtyping

    known = {layer.name: layer for layer in _tflite_graph.layers(model)}
    for name in how.keep:
        if name not in known:
            raise UsageError(f"the file has no layer {name!r}", key="keep", hint=suggest(name, known))
        scope = f"^{re.escape(known[name].result)};$"
        _leave(job, scope, (qtyping.TFLOperationName.ALL_SUPPORTED,))


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


def _run(job: Any, statistics: dict[str, Any] | None = None) -> bytes:
    return bytes(job.quantize(statistics, enable_progress_report=False).quantized_model)
