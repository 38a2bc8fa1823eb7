"""Small weights in ONNX files whose arithmetic stays float: widened when the file is loaded, or in blocks of int4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.formats._layers import refuse_without_kernel
from edgebuild.formats._onnx_quantize import arrays, excluded, layers, short, weights
from edgebuild.spec.quantization import Quantization

if TYPE_CHECKING:
    import onnx

    Array = Any  # numpy.ndarray

# The least opset with 4-bit integers; what it changes for the operators before is which types they take.
_INT4_OPSET, _INT4_IR = 21, 10
# Operators that have a kernel for weights in blocks.
_IN_BLOCKS = frozenset(("MatMul", "Gemm", "Gather"))
# What the block kernel computes in: its levels 1 (float32) and 4 (int8, activations quantized when they are seen).
_ARITHMETIC = {"weights_only": 1, "dynamic": 4}


def widened(model: onnx.ModelProto, how: Quantization) -> onnx.ModelProto:
    """The model with the weights of its layers stored small.

    Each becomes Cast (and Mul by its scales), which ONNX Runtime computes once, when it loads the file. (It would
    execute DequantizeLinear at every inference: 1.3 to 11 times the time of the float layer.)
    """
    chosen = _weights_of(model, how)
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in chosen]
    values = arrays(model)
    stored = [_STORED[how.weights](name, values[name], axis, how) for name, axis in chosen.items()]
    nodes = [node for nodes, _ in stored for node in nodes] + list(model.graph.node)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(kept + [tensor for _, tensors in stored for tensor in tensors])
    return _with_int4(model) if how.weights == "int4" else model


def _weights_of(model: onnx.ModelProto, how: Quantization) -> dict[str, int]:
    """Every layer's weights by name, with the axis of its output channels."""
    chosen = {layer.name for layer in layers(model)} - {short(name) for name in excluded(model, how)}
    floats = {t.name for t in model.graph.initializer if t.data_type == t.FLOAT and len(t.dims) > 1}
    axes: dict[str, int] = {}
    for node in model.graph.node:
        if short(node.name) in chosen:
            axes |= {name: _axis(node) for name in weights(node) if name in floats}
    return axes


def _axis(node: onnx.NodeProto) -> int:
    """Where the output channels (or rows of an embedding) stand in the operator's weights."""
    turned = any(item.name == "transB" and item.i for item in node.attribute)
    return {"ConvTranspose": 1, "MatMul": -1, "Gemm": 0 if turned else 1, "LSTM": 1, "GRU": 1}.get(node.op_type, 0)


def _half(name: str, values: Array, axis: int, how: Quantization) -> tuple[list[Any], list[Any]]:
    from onnx import helper, numpy_helper

    del axis, how
    node = helper.make_node("Cast", [f"{name}/half"], [name], to=1)
    return [node], [numpy_helper.from_array(values.astype("float16"), f"{name}/half")]


def _whole(name: str, values: Array, axis: int, how: Quantization) -> tuple[list[Any], list[Any]]:
    """Symmetric: q = round(x/Δ), Δ = max|x|/(2^(b−1) − 1) for each channel, or for the whole tensor."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    top, kind = {"int8": (127, TensorProto.INT8), "int4": (7, TensorProto.INT4)}[how.weights]
    others = tuple(i for i in range(values.ndim) if i != axis % values.ndim)
    largest = np.abs(values).max(others if how.granularity == "channel" else None, keepdims=True)
    scale = (np.where(largest > 0, largest, top) / top).astype(np.float32)
    q = np.round(values / scale).astype(np.int8)
    stored = helper.make_tensor(f"{name}/q", kind, q.shape, _packed(q) if top == 7 else q.tobytes(), raw=True)
    nodes = [
        helper.make_node("Cast", [f"{name}/q"], [f"{name}/wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}/wide", f"{name}/scale"], [name]),
    ]
    return nodes, [stored, numpy_helper.from_array(scale, f"{name}/scale")]


def _packed(q: Array) -> bytes:
    """Two 4-bit integers to a byte, the first in the lower half (ONNX: TensorProto.raw_data)."""
    import numpy as np

    halves = (np.append(q.ravel(), np.int8(0)) if q.size % 2 else q.ravel()).astype(np.uint8) & 0xF
    data: bytes = (halves[::2] | halves[1::2] << 4).tobytes()
    return data


_STORED: Mapping[str, Any] = {"float16": _half, "int8": _whole, "int4": _whole}


def blocks(model: onnx.ModelProto, how: Quantization) -> onnx.ModelProto:
    """Matrices and embeddings in blocks with a scale each; UsageError for a layer that has no such kernel."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.quantization.onnx_model import ONNXModel

    refuse_without_kernel(layers(model), _IN_BLOCKS, how, "ONNX Runtime")
    left = excluded(model, how)
    plain = ONNXModel(model)
    plain.replace_gemm_with_matmul()
    quantizer = MatMulNBitsQuantizer(
        _with_int4(plain.model),
        bits=4 if how.weights == "int4" else 8,
        block_size=how.block,
        is_symmetric=True,
        accuracy_level=_ARITHMETIC[how.technique],
        op_types_to_quantize=("MatMul", "Gather"),
        nodes_to_exclude=[name + suffix for name in left for suffix in ("", "_MatMul")],
    )
    quantizer.process()
    done: onnx.ModelProto = quantizer.model.model
    return done


def _with_int4(model: onnx.ModelProto) -> onnx.ModelProto:
    for domain in model.opset_import:
        if domain.domain == "":
            domain.version = max(domain.version, _INT4_OPSET)
    model.ir_version = max(model.ir_version, _INT4_IR)
    return model
