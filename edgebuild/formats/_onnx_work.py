"""What the operators of an .onnx file do, by the graph that ONNX Runtime makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebuild.formats import _onnx_memory, _work
from edgebuild.spec import sha256
from edgebuild.spec.work import Work

if TYPE_CHECKING:
    import onnx

# How products are counted, and where data and weights stand among the inputs.
_RULES: dict[str, tuple[_work.Rule, int, int]] = {
    **dict.fromkeys(("Conv", "FusedConv", "ConvInteger"), ("convolution", 0, 1)),
    "QLinearConv": ("convolution", 0, 3),
    "ConvTranspose": ("transposed", 0, 1),
    **dict.fromkeys(("Gemm", "FusedGemm", "MatMul", "FusedMatMul", "MatMulInteger", "MatMulNBits"), ("matrix", 0, 1)),
    **dict.fromkeys(("DynamicQuantizeMatMul", "MatMulIntegerToFloat"), ("matrix", 0, 1)),
    **dict.fromkeys(("QGemm", "QLinearMatMul"), ("matrix", 0, 3)),
}


def work(model: bytes) -> tuple[Work, ...]:
    """One for each operator after the runtime's extended fusions; what inner graphs (loops) do is not counted."""
    import onnx

    optimized = _onnx_memory.optimized(model)
    values: dict[str, Any] = _onnx_memory.values(optimized)
    values |= {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in optimized.graph.initializer}
    return tuple(
        _work.of_operator(
            f"{node.domain}:{node.op_type}",
            _settings(node),
            [values.get(name) for name in node.input],
            [values[name] for name in node.output if name],
            _RULES.get(node.op_type),
        )
        for node in optimized.graph.node
    )


def _settings(node: onnx.NodeProto) -> str:
    settings = sorted(item.SerializeToString(deterministic=True) for item in node.attribute)
    return sha256.of_bytes(b"\0".join(settings))[:16] if settings else ""
