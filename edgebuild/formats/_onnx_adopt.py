"""Takes in an .onnx file that others made: one file with weights inside, batch 1 in front, nothing open, our names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _onnx_batch, _onnx_beside, _onnx_files, _onnx_repaired, _onnx_usual
from edgebuild.formats._adopted import attempt
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import onnx

_NONE: Mapping[str, float] = MappingProxyType({})
# What the quantizer of weights by channel needs; older files are rewritten.
_OPSET, _IR = 13, 8
_OLDEST = 7  # opset of which ONNX Runtime has all operators
# Whose operators the runtime has, or may have by its version.
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc")
_NAMED = 5  # operators that a message names
_INTEGER = ("QuantizeLinear", "DequantizeLinear", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear")


def adopt(
    path: Path,
    inputs: Sequence[TensorSpec],
    constants: Mapping[str, float] = _NONE,
    decide: Callable[[onnx.ModelProto], None] | None = None,
) -> bytes:
    """The file as this product works on it; UsageError with the reason where it cannot be used.

    constants: values of inputs that are none from here on, by name
    decide: what puts the branches in their places (in place) that constants decide
    """
    model = attempt("is no ONNX model", lambda: parsed(path))
    _onnx_beside.put_inside(model, path.parent)
    _onnx_repaired.repaired(model)
    _modern(model)
    _hold(model, constants)
    model = attempt("has functions of its own that cannot be put in their places", lambda: _inlined(model))
    _onnx_usual.usual(model)
    model = attempt(f"cannot be raised to opset {_OPSET}", lambda: _raised(model))
    _fix(model, inputs)
    _onnx_files.names_apart(_onnx_files.outputs_computed(model))
    if decide is not None:
        decide(model)
    runnable(model, lambda: _opened(model))
    model = attempt("cannot be run with the declared shapes", lambda: _onnx_batch.lead(_with_shapes(model)))
    return _onnx_files.to_bytes(_renamed(model))


def runnable(model: onnx.ModelProto, opened: Callable[[], object]) -> None:
    """UsageError where ONNX Runtime refuses the model; it names operators of other makers, which it does not have."""
    try:
        attempt("is refused by ONNX Runtime", opened)
    except UsageError as error:
        known = {*_DOMAINS, *(function.domain for function in model.functions)}
        nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
        kinds = sorted({f"{node.op_type} of {node.domain}" for node in nodes if node.domain not in known})
        if not kinds and 0 < opset(model) < _OLDEST:
            hint = "in Python, onnx.save(onnx.version_converter.convert_version(onnx.load(FILE), 17), OTHER) raises it"
            reason = f"has opset {opset(model)}, and ONNX Runtime has operators of {_OLDEST} and on: {error.reason}"
            raise UsageError(reason, hint=hint) from None
        if not kinds:
            raise
        more = f" and {len(kinds) - _NAMED} more" if len(kinds) > _NAMED else ""
        reason = f"has operators that ONNX Runtime does not know: {', '.join(kinds[:_NAMED])}{more}"
        raise UsageError(reason, hint="export it with ONNX's own operators alone") from None


def integer(model: bytes) -> str | None:
    """The first operator that computes in integers or widens them; None for a float file."""
    import onnx

    return integer_kind(onnx.load_from_string(model))


def integer_kind(model: onnx.ModelProto) -> str | None:
    """The same of a model that is read already."""
    kinds = [node.op_type for node in model.graph.node]
    return next((kind for kind in kinds if kind in _INTEGER or kind.startswith("QLinear")), None)


def parsed(path: Path) -> onnx.ModelProto:
    """The file without what lies in others; UsageError where it has no operators, as what is no model reads."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    if not model.graph.node or not model.graph.output:
        raise UsageError("is no ONNX model: it has no operators")
    return model


def _modern(model: onnx.ModelProto) -> None:
    """Weights are no inputs (in place), as they were in files of 2019 and before; one version of each domain is named,
    that of ONNX's own too where the file has none of its operators.
    """
    own = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in own]
    model.graph.ClearField("input")
    model.graph.input.extend(kept)
    model.ir_version = max(model.ir_version, _IR)
    versions: dict[str, list[int]] = {}
    for each in model.opset_import:
        versions.setdefault("" if each.domain == "ai.onnx" else each.domain, []).append(each.version)
    model.ClearField("opset_import")
    for domain, version in ({"": _OPSET} | {domain: max(named) for domain, named in versions.items()}).items():
        model.opset_import.add(domain=domain, version=version)


def _hold(model: onnx.ModelProto, constants: Mapping[str, float]) -> None:
    """Make (in place) these inputs constants; UsageError for one that the file does not have."""
    from onnx import helper, numpy_helper

    graph = model.graph
    for name, value in constants.items():
        port = next((one for one in graph.input if one.name == name), None)
        if port is None:
            described = ", ".join(_described(one) for one in graph.input)
            raise UsageError(f"takes {described}: constants names {name!r}")
        kind = port.type.tensor_type
        sizes = [size if isinstance(size := extent(dim), int) else -1 for dim in kind.shape.dim]
        held = constant(value, sizes, helper.tensor_dtype_to_np_dtype(kind.elem_type))
        graph.initializer.append(numpy_helper.from_array(held, name))
        graph.input.remove(port)


def constant(value: float, shape: Sequence[int], kind: np.typing.DTypeLike) -> np.ndarray[Any, Any]:
    """An input of this value everywhere, of a shape in which -1 is open, and 1 then."""
    import numpy as np

    return np.full([max(size, 1) for size in shape], value, kind)


def opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators; 0 where it has none of them."""
    return next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """With what its own functions do in the places where they are called."""
    from onnx import inliner

    return inliner.inline_local_functions(model) if model.functions else model


def _raised(model: onnx.ModelProto) -> onnx.ModelProto:
    before = opset(model)
    return model if before >= _OPSET else _onnx_usual.raised(model, before, _OPSET)


def _fix(model: onnx.ModelProto, inputs: Sequence[TensorSpec]) -> None:
    """Give every input (in place) the batch 1 and the declared shape; UsageError where they contradict the file."""
    names, declared_names = [value.name for value in model.graph.input], [spec.name for spec in inputs]
    if len(names) != len(inputs) or (len(names) > 1 and names != declared_names):  # a single one is not mistaken
        described = ", ".join(_described(value) for value in model.graph.input)
        raise UsageError(f"takes {described}: [[inputs]] must name these, in this order")
    for value, spec in zip(model.graph.input, inputs, strict=True):
        dims = value.type.tensor_type.shape.dim
        whole = len(dims) == len(spec.shape) and (not dims or extent(dims[0]) == spec.shape[0] != 1)
        shape = spec.shape if whole else (1, *spec.shape)  # `_onnx_batch` puts the axis in front that it lacks
        fits = len(dims) == len(shape) and all(
            isinstance(extent(dim), str) or dim.dim_value == size for dim, size in zip(dims, shape, strict=True)
        )
        if not fits or dtype(value) != spec.dtype:
            declared = f"{list(shape)} {spec.dtype}, the declared shape of one example"
            raise UsageError(f"takes {_described(value)}, which cannot be {declared}")
        for dim, size in zip(dims, shape, strict=True):
            dim.dim_value = size
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")  # an open dimension may be fixed now
    model.graph.ClearField("value_info")


def _described(value: onnx.ValueInfoProto) -> str:
    shape = ", ".join(str(extent(dim)) for dim in value.type.tensor_type.shape.dim)
    return f"{value.name!r} [{shape}] {dtype(value)}"


def extent(dim: onnx.TensorShapeProto.Dimension) -> int | str:
    """The size of a dimension, or where it is open its name or "?": older exporters write -1 for that."""
    return dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param or "?"


def dtype(value: onnx.ValueInfoProto) -> str:
    """The type of a value's elements, as numpy calls it."""
    import onnx

    kind = value.type.tensor_type.elem_type
    return str(onnx.helper.tensor_dtype_to_np_dtype(kind)) if kind else "no tensor"


def _opened(model: onnx.ModelProto) -> None:
    """An exception for what the runtime does not take: unknown operators, a cycle, a later opset than it knows."""
    from edgebuild.travels import load_onnx

    load_onnx.Model(_onnx_files.to_bytes(model), {})


def _with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """With the shapes of outputs as far as they can be told."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    for value, known in zip(model.graph.output, inferred.graph.output, strict=True):
        value.CopyFrom(known)
    return model


def _renamed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every operator has a name of its own, without the "/" that the optimizer appends to; layers that of weights."""
    taken: set[str] = set()
    for number, node in enumerate(model.graph.node):
        name = node.name.strip("/").replace("/", ".") or f"{node.op_type}_{number}"
        node.name = name if name not in taken else f"{name}_{number}"
        taken.add(node.name)
    return _onnx_files.name_layers(_onnx_files.clean(model))
