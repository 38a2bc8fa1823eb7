"""Turns an ONNX file into a torch module with real layers, which can be trained, pruned and converted again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift import fold, names, operators, parts, prepare
from edgebuild.nn.lift.builder import Builder
from edgebuild.nn.lift.call import Call
from edgebuild.nn.lift.errors import LiftError
from edgebuild.nn.lift.initializers import Initializers, to_tensor
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from torch import Tensor, nn

    Array = np.ndarray[Any, Any]


def lift(
    model: bytes, sizes: Mapping[str, int] | None = None, constants: Mapping[str, Array] | None = None
) -> nn.Module:
    """The module that computes what an ONNX file does, in eval mode; equal files give equal names.

    sizes: open dimensions by name, or `input.axis` where they have none; the batch needs none
    constants: values of inputs that are none in truth, by name

    It takes the file's other inputs by position or by name, and gives a tensor, or a tuple where the file has several
    outputs. LiftError where the file, or torch, does not allow it.
    """
    return build(prepare.prepare(model, sizes or {}, constants or {}))


def build(prepared: onnx.ModelProto) -> nn.Module:
    """The module of a file that `prepare` made ready."""
    from edgebuild.nn.lift.lifted import written

    graph = prepared.graph
    outputs = [value.name for value in graph.output]
    builder = Builder(Initializers([*graph.initializer]), graph.node, outputs)
    axes = prepare.batch_axes(prepared)
    for value in prepare.inputs(prepared):
        one = _zeros(value)
        builder.input(value.name, one, _doubled(one, axes[value.name]))
    opsets = {names.domain(item.domain): item.version for item in prepared.opset_import}
    for node in graph.node:
        if not all(builder.has(name) for name in node.output if name):
            builder.finish(node, _results(node, opsets, builder))
    results = [builder.result(name) for name in outputs]
    builder.graph.output(results[0] if len(results) == 1 else tuple(results))
    parts.join(builder.graph)
    builder.graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
    return written(builder.layers, builder.graph).eval()


def _results(node: onnx.NodeProto, opsets: Mapping[str, int], builder: Builder) -> dict[str, Any]:
    """What one node gives, by name."""
    domain = names.domain(node.domain)
    call = Call(node, opsets.get(domain, 1), builder)
    if any(node.input) and all(name in builder.arrays for name in fold.read(node)):
        return _folded(node, builder, opsets)
    operator = operators.find(domain, node.op_type)
    if operator is None:
        call.refuse("there is no torch for this operator yet", "what needs the file alone still works")
    try:
        results = operator(call)
    except LiftError:
        raise
    except Exception as error:  # torch may refuse what it was made to compute in any way
        if exhausted(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        call.refuse(f"torch does not compute it: {type(error).__name__}: {reason}")
    listed: Sequence[Any] = results if isinstance(results, tuple) else (results,)
    return {name: value for name, value in zip(node.output, listed, strict=False) if name} | call.absorbed


def _folded(node: onnx.NodeProto, builder: Builder, opsets: Mapping[str, int]) -> dict[str, Any]:
    import onnx

    listed = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    results = fold.fold(node, {name: builder.arrays[name] for name in fold.read(node)}, listed)
    return dict(zip(filter(None, node.output), results, strict=True))


def _zeros(value: onnx.ValueInfoProto) -> Tensor:
    import numpy as np
    import onnx

    kind = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    if dtype.kind not in "fiub":
        raise LiftError(f"its input {value.name!r} holds {dtype.name}, which no tensor of torch does")
    return to_tensor(np.zeros([dimension.dim_value for dimension in kind.shape.dim], dtype))


def _doubled(one: Tensor, axis: int | None) -> Tensor:
    import torch

    return one if axis is None else torch.cat([one, one], axis)
