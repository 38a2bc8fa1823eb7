"""ONNX files as ONNX Runtime's quantizer wants them: folded, with shapes and names, and layers written plainly.

What it takes for granted of a Gemm and a MatMul is made so here; files of other exporters write them otherwise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _onnx_files, _onnx_single

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, Any]


def ready(model: bytes) -> onnx.ModelProto:
    """The float model, folded, in float32; what it computes is the same.

    Shapes are left to onnx: ONNX Runtime's symbolic inference (`quant_pre_process`) fails on some graphs that it runs.
    """
    import onnx
    import onnxruntime

    model = _onnx_files.to_bytes(_onnx_single.single(onnx.load_from_string(model)))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder, "ready.onnx"))
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        prepared = onnx.shape_inference.infer_shapes(onnx.load(options.optimized_model_filepath), data_prop=True)
    return _Plain(named(prepared)).model()


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    """With a name for every operator (in place): what tools add is told apart by it."""
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"operator_{number}"
    return model


class _Plain:
    """Rewrites layers (in place) of a model whose shapes are known; constants are added, none is changed."""

    def __init__(self, model: onnx.ModelProto):
        self._model, self._graph = model, model.graph
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
        self._ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in values}

    def model(self) -> onnx.ModelProto:
        """The model; of what became another shape nothing is left that says the old one."""
        import onnx

        rewrite = {"Gemm": self._gemm, "MatMul": self._matmul, "AveragePool": self._average}
        nodes = [one for node in self._graph.node for one in rewrite.get(node.op_type, self._as_is)(node)]
        self._graph.ClearField("node")
        self._graph.node.extend(nodes)
        read = {*_onnx_files.read(self._graph)}
        kept = [tensor for tensor in self._graph.initializer if tensor.name in read]
        self._graph.ClearField("initializer")
        self._graph.initializer.extend(kept)
        return onnx.shape_inference.infer_shapes(self._model, data_prop=True)

    @staticmethod
    def _as_is(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        yield node

    def _gemm(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Without factors, which would be lost or taken for part of a scale, and with a bias by channels or none."""
        from onnx import helper

        alpha, beta = self._factors(node)
        matrix = next((place for place in (1, 0) if self._values(node, place) is not None), None)
        if matrix is not None and alpha != 1:
            self._multiply(node, matrix, alpha)
            alpha = 1.0
        if self._values(node, 2) is not None and beta != 1:
            self._multiply(node, 2, beta)
            beta = 1.0
        if matrix == 1 and self._by_channels(node):
            yield node
            return
        (result,), bias = node.output, node.input.pop() if len(node.input) > 2 else ""
        steps = [] if alpha == 1 else [("Mul", self._number(node, "alpha", alpha))]
        if bias and beta != 1:
            scaled = f"{result}_scaled_bias"
            yield helper.make_node("Mul", [bias, self._number(node, "beta", beta)], [scaled], name=f"{node.name}/beta")
            bias = scaled
        steps += [("Add", bias)] if bias else []
        names = [*(f"{result}_before_{kind}" for kind, _ in steps), result]
        node.output[0] = names[0]
        yield node
        for (kind, other), source, target in zip(steps, names, names[1:], strict=False):
            yield helper.make_node(kind, [source, other], [target], name=f"{node.name}/{kind}")

    @staticmethod
    def _factors(node: onnx.NodeProto) -> tuple[float, float]:
        """Alpha and beta, which the operator has no longer."""
        factors = {item.name: item.f for item in node.attribute if item.name in ("alpha", "beta")}
        kept = [item for item in node.attribute if item.name not in factors]
        node.ClearField("attribute")
        node.attribute.extend(kept)
        return factors.get("alpha", 1.0), factors.get("beta", 1.0)

    def _multiply(self, node: onnx.NodeProto, place: int, factor: float) -> None:
        values = self._values(node, place)
        assert values is not None
        self._put(node, place, values * values.dtype.type(factor))

    def _number(self, node: onnx.NodeProto, what: str, value: float) -> str:
        """The name of a constant of one number."""
        import numpy as np
        from onnx import numpy_helper

        name = f"{node.name}.{what}"
        self._graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def _by_channels(self, node: onnx.NodeProto) -> bool:
        """Whether the bias is none, or could be written as one number for each channel of constant weights."""
        import numpy as np

        weights, bias = self._values(node, 1), self._values(node, 2)
        if weights is None or bias is None or bias.shape[:-1].count(1) < bias.ndim - 1:
            return len(node.input) < 3
        turned = any(item.name == "transB" and item.i for item in node.attribute)
        channels = weights.shape[0 if turned else 1]
        if bias.shape != (channels,):  # a row or a number
            self._put(node, 2, np.broadcast_to(bias.reshape(-1), (channels,)).copy())
        return True

    def _average(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Without dilations of 1, an attribute that the integer kernel has not."""
        kept = [item for item in node.attribute if item.name != "dilations" or {*item.ints} != {1}]
        node.ClearField("attribute")
        node.attribute.extend(kept)
        yield node

    def _matmul(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """With a matrix of weights where that is written as a stack of one: kernels take scales of a matrix alone."""
        weights = self._values(node, 1)
        other = self._ranks.get(node.input[0], 0)
        if weights is not None and 2 < weights.ndim <= other and {*weights.shape[:-2]} == {1}:
            self._put(node, 1, weights.reshape(weights.shape[-2:]))
        yield node

    def _values(self, node: onnx.NodeProto, place: int) -> Array | None:
        """The constant at this place among an operator's inputs; None where there is none."""
        from onnx import numpy_helper

        tensor = self._constants.get(node.input[place]) if place < len(node.input) else None
        return None if tensor is None else numpy_helper.to_array(tensor)

    def _put(self, node: onnx.NodeProto, place: int, values: Array) -> None:
        """Give the operator another constant, of its own, there."""
        from onnx import numpy_helper

        name = f"{node.name}.{node.input[place]}"
        self._constants[name] = numpy_helper.from_array(values, name)
        self._graph.initializer.append(self._constants[name])
        node.input[place] = name
