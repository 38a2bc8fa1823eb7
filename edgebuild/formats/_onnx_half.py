"""Lets an ONNX file compute in half precision, by the converter that ONNX Runtime names for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from edgebuild.formats import _onnx_files, _onnx_quantize, _onnx_ready, _onnx_single
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    import onnx

_LARGEST, _MASK = 65504.0, 1e9  # of half precision, and what masks hold at least
_HIDDEN = "CastOfTheModel"  # which the converter would take for its own, and join with these
_FLOAT, _HALF = 1, 10  # of onnx.TensorProto.DataType
# What makes float32 without saying so, or has constants of it inside.
_LEARNT = "ai.onnx.ml"  # whose operators hold numbers of one type inside, and have kernels for float32 alone
_SINGLE = ("BlackmanWindow", "HammingWindow", "HannWindow", "MeanVarianceNormalization", "MelWeightMatrix")


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
    unread = _onnx_files.results_named(plain.graph)
    converted: onnx.ModelProto = convert_float_to_float16(
        plain,
        max_finite_val=_LARGEST,  # the converter would cut at 1e4
        keep_io_types=True,
        disable_shape_infer=True,
        node_block_list=list(_staying(plain)),
    )
    own = [node for node in converted.graph.node if node.op_type != "Cast"]  # those are the converter's own
    _rename(converted.graph, _HIDDEN, "Cast")
    for node in own:
        _narrow(node)
        node.output[:] = ["" if name in unread else name for name in node.output]
    return converted


def _staying(model: onnx.ModelProto) -> Iterator[str]:
    """The names of operators that stay in float32, for ONNX or its runtime has none of half precision."""
    versions = {one.domain: one.version for one in model.opset_import}
    beyond = _beyond(model)
    for node in model.graph.node:
        added = any(
            one.name == "reduction" and one.s != b"none" for one in node.attribute
        )  # ScatterElements, ScatterND
        unsaid = node.op_type == "ConstantOfShape" and not node.attribute  # zeros of float32
        if (
            added
            or unsaid
            or beyond.intersection(node.input)
            or node.domain == _LEARNT
            or node.op_type in _SINGLE
            or not _has_half(node, versions)
        ):
            yield node.name


def _beyond(model: onnx.ModelProto) -> set[str]:
    """The constants with values beyond half precision; those of masks, larger by far, may be cut."""
    import numpy as np

    floats = {name: np.abs(value) for name, value in _onnx_quantize.arrays(model).items() if value.dtype == np.float32}
    return {name for name, size in floats.items() if ((size > _LARGEST) & (size < _MASK)).any()}


def _has_half(node: onnx.NodeProto, versions: Mapping[str, int]) -> bool:
    """Whether an operator that takes or makes float32 could do so in half precision; those of others are not known."""
    import onnx

    try:
        schema = onnx.defs.get_schema(node.op_type, versions.get(node.domain, 1), node.domain)
    except onnx.defs.SchemaError:
        return True
    kinds = {one.type_param_str: one.allowed_type_strs for one in schema.type_constraints}
    ends = [kinds.get(one.type_str, [one.type_str]) for one in (*schema.inputs[:1], *schema.outputs[:1])]
    return all("tensor(float16)" in types for types in ends if "tensor(float)" in types)


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
