"""Makes an ONNX file ready for the lift: sizes fixed, what is constant folded, every layer kept.

ONNX Runtime folds, at its basic level, without the optimizers that merge layers into one another: of 955 nodes that
the legacy exporter writes for a vision transformer 392 are left, and all shapes are numbers.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift import branches, patterns
from edgebuild.nn.lift.errors import LiftError
from edgebuild.spec.errors import exhausted
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, Any]

# Keys of the metadata of a file that needs no more of this: that it is so, and the axis of each input's batch.
PREPARED, BATCH = "edgebuild.prepared", "edgebuild.batch"

# They would merge layers, share constants that are equal by chance, or move quantization about.
_KEPT_APART = (
    *("ConvAddFusion", "ConvMulFusion", "ConvBNFusion", "MatMulBNFusion", "MatMulAddFusion", "GemmSumFusion"),
    *("ConstantSharing", "QDQPropagationTransformer", "ClipQuantRewrite", "ReluQuantRewrite"),
    *("WeightBiasQuantization", "EnsureUniqueDQForNodeUnit", "DoubleQDQPairsRemover", "ReshapeFusion"),
)


def prepare(model: bytes, sizes: Mapping[str, int], constants: Mapping[str, Array]) -> onnx.ModelProto:
    """The file with fixed sizes, given inputs as constants, and constant parts folded.

    sizes: open dimensions by name (`sequence_length`), or `input.axis` where they have none (`image.2`)
    constants: values of inputs that are no inputs in truth (a sampling rate)

    The batch (axis 0 of an input) is 1 unless `sizes` says otherwise. LiftError for a file that ONNX Runtime refuses,
    and for a dimension without a size; a file that is prepared already comes back as it is.
    """
    parsed = parse(model)
    if any(item.key == PREPARED for item in parsed.metadata_props):
        return parsed
    _check_inside(parsed)
    _freeze(parsed, constants)
    axes = {value.name: batch_axis(value, batch_names(parsed, sizes)) for value in parsed.graph.input}
    _fix(parsed, sizes)
    branches.inline(parsed)
    folded = _fold(parsed)
    patterns.join_norms(folded)
    folded.metadata_props.add(key=PREPARED, value="1")
    folded.metadata_props.add(key=BATCH, value=json.dumps(axes, sort_keys=True))
    return folded


def parse(model: bytes) -> onnx.ModelProto:
    """The file; LiftError for bytes that are none, or a file without outputs."""
    import onnx

    try:
        parsed = onnx.load_from_string(model)
    except Exception as error:
        if exhausted(error):
            raise
        raise LiftError(f"it is no ONNX file: {_first_line(error)}") from None
    if not parsed.graph.output:  # any bytes that happen to parse, none at all among them
        raise LiftError("it is no ONNX file, or one without outputs")
    return parsed


def inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """What the file must be given: old files list their weights among the inputs too."""
    held = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in held]


def axis_name(value: onnx.ValueInfoProto, axis: int) -> str:
    """How `sizes` names an open dimension of an input."""
    return value.type.tensor_type.shape.dim[axis].dim_param or f"{value.name}.{axis}"


def is_open(value: onnx.ValueInfoProto, axis: int) -> bool:
    """Whether a dimension of an input has no size of its own (0 and -1 of old exporters are none)."""
    return bool(value.type.tensor_type.shape.dim[axis].dim_value < 1)


def size_of(value: onnx.ValueInfoProto, axis: int, sizes: Mapping[str, int]) -> int | None:
    """The size that was given for an open dimension of an input, by either of its names."""
    return sizes.get(f"{value.name}.{axis}", sizes.get(axis_name(value, axis)))


def batch_names(model: onnx.ModelProto, sizes: Mapping[str, int]) -> set[str]:
    """What the batch is called: the dimensions that come first in an input, are open, and were given no size."""
    first = [value for value in inputs(model) if value.type.tensor_type.shape.dim]
    return {axis_name(value, 0) for value in first if is_open(value, 0) and size_of(value, 0, sizes) is None}


def batch_axis(value: onnx.ValueInfoProto, batches: Collection[str]) -> int | None:
    """Where an input has its batch: the open dimension of that name, else the first that is 1, as fixed batches are."""
    dimensions = value.type.tensor_type.shape.dim
    named = [k for k in range(len(dimensions)) if is_open(value, k) and axis_name(value, k) in batches]
    single = [k for k, dimension in enumerate(dimensions) if dimension.dim_value == 1]
    return next(iter([*named, *single]), None)


def batch_axes(prepared: onnx.ModelProto) -> dict[str, int | None]:
    """The axis of the batch in each input of a prepared file."""
    axes: dict[str, int | None] = json.loads(next(p.value for p in prepared.metadata_props if p.key == BATCH))
    return axes


def _check_inside(model: onnx.ModelProto) -> None:
    import onnx

    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise LiftError(
                f"its weights ({tensor.name!r} and others) lie in another file", hint="load them into the file first"
            )


def _freeze(model: onnx.ModelProto, constants: Mapping[str, Array]) -> None:
    """Turn these inputs into initializers, and stop listing initializers as inputs: neither is folded otherwise."""
    import numpy as np
    import onnx

    known = {value.name: value for value in inputs(model)}
    for name, value in constants.items():
        if name not in known:
            raise LiftError(f"it has no input {name!r}", hint=suggest(name, [*known]))
        kind = onnx.helper.tensor_dtype_to_np_dtype(known[name].type.tensor_type.elem_type)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value, kind), name))
    kept = inputs(model)
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _fix(model: onnx.ModelProto, sizes: Mapping[str, int]) -> None:
    """Give every open dimension its size; shapes of all else are dropped, for they may contradict."""
    lost, names, batches = [], set(), batch_names(model, sizes)
    for value in model.graph.input:
        if not value.type.HasField("tensor_type"):
            raise LiftError(f"its input {value.name!r} is no tensor")
        if not value.type.tensor_type.HasField("shape"):
            raise LiftError(f"its input {value.name!r} does not say how many dimensions it has")
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            name = axis_name(value, axis)
            names |= {name, f"{value.name}.{axis}"} if is_open(value, axis) else set()
            size = size_of(value, axis, sizes)
            if is_open(value, axis) and size is None and name not in batches:
                lost.append(name)
            elif is_open(value, axis):
                dimension.dim_value = size or 1
    if lost:
        open_names = ", ".join(dict.fromkeys(lost))
        raise LiftError(f"its inputs have open dimensions: {open_names}", hint="give each a size")
    unknown = [name for name in sizes if name not in names]
    if unknown:
        raise LiftError(f"it has no open dimension {unknown[0]!r}", hint=suggest(unknown[0], sorted(names)))
    del model.graph.value_info[:]
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")


def _fold(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4  # what is wrong is raised
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "folded.onnx")
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(
                model.SerializeToString(),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=[*_KEPT_APART],
            )
        except Exception as error:
            if exhausted(error):
                raise
            raise LiftError(f"ONNX Runtime refuses it: {_first_line(error)}") from None
        return onnx.load(str(path))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
