"""Quantizes ONNX files with ONNX Runtime's quantizer, on ranges of our own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _masks, _onnx_attention, _onnx_bounds, _onnx_files, _onnx_statistics, _places, _tail
from edgebuild.formats._layers import kept
from edgebuild.formats._masks import Operation
from edgebuild.spec.quantization import NO_RANGE, Layer, Quantization, Range
from edgebuild.spec.spread import Spread, stands_for_none

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    import onnx

    Sample = tuple[np.ndarray[Any, Any], ...]

# Where an operator's weights stand among its inputs.
_WEIGHTS = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gemm": (1,),
    "MatMul": (1,),
    "Gather": (0,),
    "LSTM": (1, 2),
    "GRU": (1, 2),
}

# What is quantized when only layers are: a ReLU is part of the layer before it. (A recurrent layer has no such kernel.)
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Gather", "Relu", "Clip")

# What gives the values that it is given in another shape or order, and nothing else.
_MOVING = ("Flatten", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")


def failing(traceback: TracebackType | None) -> str:
    """The operator that was being worked on, by its kind and name: what the innermost function calls `node`."""
    import onnx

    place = ""
    while traceback is not None:
        node = traceback.tb_frame.f_locals.get("node")
        if isinstance(node, onnx.NodeProto):
            place = f"{node.op_type} {node.name!r}"
        traceback = traceback.tb_next
    return place


def layers(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """The operators with weights, in the file's order."""
    constants = {tensor.name for tensor in model.graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    weighted = []
    for node in model.graph.node:
        if constants.intersection(weights(node)[:1]):
            source = next(name for name in node.input if name not in constants)
            weighted.append(Layer(short(node.name), node.op_type, source, _activated(node.output[0], readers)))
    return tuple(weighted)


def weights(node: onnx.NodeProto) -> list[str]:
    """The inputs of an operator that are its weights, where it has any."""
    places = _WEIGHTS.get(node.op_type, ())
    return [node.input[place] for place in places if place < len(node.input)]


def short(name: str) -> str:
    """A node's name as exported: the optimizer appends what it fused."""
    return name.partition("/")[0]


def _activated(name: str, readers: Mapping[str, Sequence[onnx.NodeProto]]) -> str:
    """The tensor after a ReLU that alone reads `name`: the two share one range."""
    following = readers.get(name, [])
    fused = len(following) == 1 and following[0].op_type in ("Relu", "Clip")
    return following[0].output[0] if fused else name


def activations(model: onnx.ModelProto, samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
    """Every float tensor that the runtime computes, inputs included, for one sample after another."""
    import onnx
    import onnxruntime

    graph = model.graph
    known = {value.name for value in graph.output}
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    computed = [name for node in graph.node for name in node.output if name and name not in known]
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in computed)  # the runtime knows their types
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs() if value.type == "tensor(float)"]
    for sample in samples:
        feed = dict(zip([value.name for value in graph.input], sample, strict=True))
        results = dict(zip(names, session.run(names, feed), strict=True)) if names else {}  # no names: all outputs
        yield results | {name: value for name, value in feed.items() if value.dtype == "float32"}


def operations(model: onnx.ModelProto) -> list[Operation]:
    """The operators in order of execution."""
    return [Operation(node.op_type, tuple(node.input), tuple(node.output)) for node in model.graph.node]


def with_masks(model: onnx.ModelProto, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The ranges, less those of tensors that hold a mask (see `_masks.with_masks`)."""
    import numpy as np

    floats = {name: value for name, value in arrays(model).items() if value.dtype == np.float32}
    far = {name for name, value in floats.items() if stands_for_none(value)}
    infinite = {name for name in far if Spread.of(floats[name]).infinite}
    return _masks.with_masks(ranges, operations(model), infinite, far)


def static(model: onnx.ModelProto, ranges: Mapping[str, Range], how: Quantization) -> onnx.ModelProto:
    """QDQ with the weights of `how`, activations in `ranges`."""
    import numpy as np
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    names = _onnx_files.number_values(model.graph, ".")
    ranges = {names[name]: ends for name, ends in ranges.items() if name in names}
    floats = arrays(model)
    bounds = _onnx_bounds.bounds(model, floats)
    near = {name: _onnx_bounds.within(ends, bounds.get(name, NO_RANGE)) for name, ends in _masks.usable(ranges).items()}
    near |= {name: (0.0, 1.0) for name in _probabilities(model) if name in near}
    pairs = {name: (np.float32(low), np.float32(high)) for name, (low, high) in near.items()}
    quantizer = QDQQuantizer(
        model,
        how.granularity == "channel",
        False,  # all 8 bits of the weights
        QuantType.QInt8,
        QuantType.QUInt8 if how.activations == "uint8" else QuantType.QInt8,
        TensorsData(CalibrationMethod.MinMax, pairs),
        [],
        [
            *excluded(model, how),
            *_float_for_others(model, ranges, how),
            *_onnx_bounds.away_from_0(model, bounds),
            *_without_kernel(model),
        ],
        sorted(_LAYERS if how.operators == "layers" else {*QDQRegistry, *QLinearOpsRegistry}),
        {
            "WeightSymmetric": True,
            "ActivationSymmetric": how.symmetric,
            "TensorQuantOverrides": {
                name: [{"quant_type": QuantType.QInt8, "symmetric": True}] for name in _whole(model)
            },
        },
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    return _mend_dead_channels(quantizer.model.model, floats)


def _whole(model: onnx.ModelProto) -> list[str]:
    """The weights that take one scale alone: of products of stacks of matrices, or on the left, and of transposed
    convolutions in groups, whose channels are in no one axis.
    """
    ranks = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    sides = [
        (place, name) for node in model.graph.node if node.op_type == "MatMul" for place, name in enumerate(node.input)
    ]
    groups = {
        weights(node)[0]
        for node in model.graph.node
        if node.op_type == "ConvTranspose" and any(item.name == "group" and item.i > 1 for item in node.attribute)
    }
    return sorted(
        {name for place, name in sides if name in ranks and (place == 0 or ranks[name] > 2)} | (groups & {*ranks})
    )


# Operators whose kernels are fast when activations are quantized at run time; ConvInteger takes 13 to 25 times as long.
_FAST_DYNAMIC = ("Gather", "LSTM", "MatMul")


def dynamic(model: onnx.ModelProto, how: Quantization) -> onnx.ModelProto:
    """Integer weights; each activation is quantized to uint8 when it is computed."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    _onnx_files.number_values(model.graph, ".")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "done.onnx")
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=[] if how.operators == "all" else list(_FAST_DYNAMIC),
            per_channel=how.granularity == "channel",
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[
                name + suffix
                for name in (*excluded(model, how), *_without_channels(model))
                for suffix in ("", "_MatMul")
            ],
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # behind operators of others it knows none
        )
        return onnx.load(path)


def _without_channels(model: onnx.ModelProto) -> list[str]:
    """The products whose weights are no matrix: a vector has no channels, and of a stack they are in no one axis."""
    others = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) != 2}
    return [node.name for node in model.graph.node if node.op_type == "MatMul" and others.intersection(node.input)]


def _probabilities(model: onnx.ModelProto) -> list[str]:
    """What softmaxes give, whose range is 0 to 1 whatever was seen: the runtime's integer kernel does not stop at the
    end of a range but begins anew at 0 (as TFLite's has it, whose range is fixed). What they give in another shape or
    order is among them: the runtime takes a range from behind such operators to the softmax.
    """
    names: dict[str, None] = {}
    for node in model.graph.node:
        if node.op_type == "Softmax" or (node.op_type in _MOVING and node.input[0] in names):
            names[node.output[0]] = None
    return [*names]


def _without_kernel(model: onnx.ModelProto) -> list[str]:
    """The averages of places that do not touch one another: ONNX Runtime puts an integer kernel in their place which
    knows no dilations, and then refuses the file.
    """
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "AveragePool" and any(item.name == "dilations" for item in node.attribute)
    ]


def arrays(model: onnx.ModelProto) -> dict[str, Any]:
    """The file's constants by name."""
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _mend_dead_channels(model: onnx.ModelProto, floats: Mapping[str, Any]) -> onnx.ModelProto:
    """Give (in place) every output channel without weights the scale of its neighbours.

    The quantizer's scale of 1 there would be the step of its bias as well: such a channel's constant came out wrong by
    up to half the scale of the layer's input.
    """
    import numpy as np
    from onnx import numpy_helper

    known = arrays(model)
    made_by = {name: node for node in model.graph.node for name in node.output}
    changed: dict[str, Any] = {}
    for node in model.graph.node:
        sources = [made_by.get(name) for name in node.input[1:3]]
        if len(sources) < 2 or any(source is None or source.op_type != "DequantizeLinear" for source in sources):
            continue
        (weight, weight_scale), (bias, bias_scale) = (source.input[:2] for source in sources)  # type: ignore[union-attr]
        scale = np.atleast_1d(known.get(weight_scale, 0))
        if weight not in known or bias not in known or scale.shape != (len(known[bias]),):
            continue
        axis = next((item.i for item in sources[0].attribute if item.name == "axis"), 0)  # type: ignore[union-attr]
        weights = np.moveaxis(known[weight], axis, 0).reshape(len(scale), -1)
        dead = (scale == 1) & ~weights.any(1)
        if dead.any():
            usual = np.where(dead, np.median(scale[~dead]) if not dead.all() else 1 / 127, scale).astype("float32")
            step = (known[bias_scale] / scale * usual).astype("float32")
            whole = np.round(floats[bias.removesuffix("_quantized")] / step)
            changed |= {weight_scale: usual, bias_scale: step, bias: np.where(dead, whole, known[bias]).astype("int32")}
    for tensor in model.graph.initializer:
        if tensor.name in changed:
            tensor.CopyFrom(numpy_helper.from_array(changed[tensor.name], tensor.name))
    return model


def excluded(model: onnx.ModelProto, how: Quantization) -> list[str]:
    """Names of the nodes that stay float; UsageError for a layer that is not there."""
    left = {layer.name for layer in kept(layers(model), how)}
    return [node.name for node in model.graph.node if short(node.name) in left]


def _float_for_others(model: onnx.ModelProto, ranges: Mapping[str, Range], how: Quantization) -> list[str]:
    """Names of the nodes that stay float besides: those on masks, those that join an output of several kinds of values,
    those that reckon places, of what pays those of attention and of spelled-out norms, and, among layers, products of
    two activations.

    (The quantizer has an option for the last and does not obey it.)
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    layer_outputs = {
        name for node in model.graph.node if constants.intersection(weights(node)[:1]) for name in node.output
    }
    ends = [model.graph.output[place].name for place in how.apart]
    every = operations(model)
    float_ = (
        *_masks.touching(ranges, every),
        *_tail.tail(every, ends, layer_outputs),
        *_places.reckoning(every, layer_outputs),
    )
    masked = {name for one in float_ for name in one.outputs}
    weighted = [node.name for node in model.graph.node if constants.intersection(weights(node)[:1])]
    others = set[str]()
    if how.operators == "auto":
        others = {*_onnx_attention.costly(model), *_onnx_statistics.exact(model, weighted)}
    if how.operators == "layers":
        others = {node.name for node in model.graph.node if not constants.issuperset(weights(node)[:1])}
    return [node.name for node in model.graph.node if masked.intersection(node.output) or node.name in others]
