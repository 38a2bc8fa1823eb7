"""Lets an ONNX file compute in half precision, by the converter that ONNX Runtime names for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.formats import _onnx_files, _onnx_ready, _onnx_single
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    import onnx

_HIDDEN = "CastOfTheModel"  # which the converter would take for its own, and join with these
_FLOAT, _HALF = 1, 10  # of onnx.TensorProto.DataType


def half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, whose inputs and outputs keep their types; UsageError where one of these is half precision."""
    import onnx
    from onnxconverter_common.float16 import convert_float_to_float16

    if any(value.type.tensor_type.elem_type == _HALF for value in (*model.graph.input, *model.graph.output)):
        reason = "the file computes in half precision already: it can be coded, judged and bundled as it is"
        raise UsageError(reason, hint="take this step out of the recipe")

    plain = _onnx_files.outputs_apart(_onnx_ready.named(_onnx_single.single(model)))
    plain = onnx.shape_inference.infer_shapes(plain)
    _rename(plain.graph, "Cast", _HIDDEN)
    converted: onnx.ModelProto = convert_float_to_float16(plain, keep_io_types=True, disable_shape_infer=True)
    own = [node for node in converted.graph.node if node.op_type != "Cast"]  # those are the converter's own
    _rename(converted.graph, _HIDDEN, "Cast")
    for node in own:
        _narrow(node)
    return converted


def _rename(graph: onnx.GraphProto, kind: str, other: str) -> None:
    """Call (in place) operators of a kind otherwise, also in inner graphs."""
    for node in graph.node:
        node.op_type = other if node.op_type == kind else node.op_type
    for inner in _onnx_files.subgraphs(graph):
        _rename(inner, kind, other)


def _narrow(node: onnx.NodeProto) -> None:
    """Half precision (in place) where the operator says that it makes float32, which the converter leaves."""
    for attribute in node.attribute:
        if attribute.name in _onnx_single.KINDS and attribute.i == _FLOAT:
            attribute.i = _HALF
