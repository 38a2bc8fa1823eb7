"""Writes Keras files of others as ONNX files: signature and layout kept, layers under their names, norms folded."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _keras_file, _onnx_adopt, _onnx_files
from edgebuild.formats._adopted import attempt
from edgebuild.formats._keras_file import Opened
from edgebuild.formats.onnx import OPSET
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.look import Look
from edgebuild.spec.signature import Signature, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from torch import nn

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel", "embeddings")
_FUSED = "ConvMulFusion_W_"  # how ONNX Runtime renames a kernel that a factor went into
_TEACHES = "it can be the teacher of another model all the same: [teacher] source"


def look(path: Path) -> Look:
    """What the file is; UsageError where it cannot be used."""
    model = _keras_file.opened(path)
    layers = Counter(type(layer).__name__ for layer in model.model._flatten_layers(include_self=False))
    layers.pop("InputLayer", None)
    parameters = sum(math.prod(weight.shape) for weight in model.model.weights)
    operators, size = dict(layers.most_common()), path.stat().st_size
    sigmoids = model.sigmoids
    return Look("Keras model", model.inputs, model.outputs, operators, parameters, size, probabilities=sigmoids)


def adopt(path: Path, inputs: Sequence[TensorSpec]) -> bytes:
    """The ONNX file, as `_onnx_adopt` leaves those of others; UsageError with the reason where there is none."""
    model = _keras_file.opened(path)
    _check(model, inputs)
    try:
        written = _exported(model, inputs)
    except Exception as error:  # PyTorch's exporter tells its steps, and what stopped it as the cause
        if exhausted(error):
            raise
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise UsageError(f"cannot be written as an ONNX file: {reason}", hint=_TEACHES) from None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "keras.onnx")
        file.write_bytes(_onnx_files.to_bytes(_folded(_named(written, model), folder)))
        return _onnx_adopt.adopt(file, inputs)


def _check(model: Opened, inputs: Sequence[TensorSpec]) -> None:
    """UsageError where the declared inputs are not the model's."""
    ports = model.inputs
    shown = ", ".join(port.shown for port in ports)
    if len(ports) != len(inputs) or (len(ports) > 1 and [p.name for p in ports] != [spec.name for spec in inputs]):
        raise UsageError(f"takes {shown}: [[inputs]] must name these, in this order")
    for port, spec in zip(ports, inputs, strict=True):
        sizes = (1, *spec.shape)
        fits = len(sizes) == len(port.shape) and all(
            isinstance(own, str) or own == size for own, size in zip(port.shape, sizes, strict=True)
        )
        if not fits or port.dtype != spec.dtype:
            declared = f"{list(sizes)} {spec.dtype}, the declared shape of one example"
            raise UsageError(f"takes {shown}, which cannot be {declared}")


def _exported(model: Opened, inputs: Sequence[TensorSpec]) -> onnx.ModelProto:
    import torch

    example = tuple(torch.zeros((1, *spec.shape), dtype=getattr(torch, spec.dtype)) for spec in inputs)
    with _keras_file.backend().device("cpu"):
        program = torch.onnx.export(
            _module(model),
            example,
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # dynamo=True always returns a program
    # The exporter gives two values one name where an inner one of its own is called as an output is (`conv2d_1`).
    named = Signature(*(tuple(TensorSpec(port.name, ()) for port in side) for side in (model.inputs, model.outputs)))
    return _onnx_files.name_ends(_onnx_files.outputs_computed(program.model_proto), named)


def _module(model: Opened) -> nn.Module:
    """The model as exporters take it: tensors in, a tuple of tensors out, never in training."""
    from torch import nn

    class Called(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model.model

        def forward(self, *values: Any) -> tuple[Any, ...]:
            return tuple(model.call(values))

    return Called().eval()


def _named(written: onnx.ModelProto, model: Opened) -> onnx.ModelProto:
    """With kernels (in place) called as their layers are, `conv.weight`, where values tell whose they are.

    The exporter numbers them, and turns their axes: what is left is which values there are, in any order.
    """
    import numpy as np
    from onnx import numpy_helper

    owners: dict[str, set[str]] = {}
    for weight in model.model.weights:
        layer, _, name = weight.path.rpartition("/")
        if name in _KERNELS:
            values = np.asarray(weight.value.detach())
            part = layer if name in ("kernel", "embeddings") else f"{layer}.{name.removesuffix('_kernel')}"
            owners.setdefault(_content(values), set()).add(f"{part.replace('/', '.')}.weight")
    names: dict[str, str] = {}
    for tensor in written.graph.initializer:
        candidates = owners.get(_content(numpy_helper.to_array(tensor)), set())
        if len(candidates) == 1 and (name := next(iter(candidates))) not in names.values():
            names[tensor.name] = name
    for tensor in written.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in written.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    return written


def _content(values: np.ndarray[Any, Any]) -> str:
    import numpy as np

    return f"{values.dtype} {hashlib.sha256(np.sort(values, axis=None).tobytes()).hexdigest()}"


def _folded(written: onnx.ModelProto, folder: str) -> onnx.ModelProto:
    """With norms in the convolutions before them and no transposes around those, as other exporters of Keras leave it.

    Keras spells a norm out as − mean, · scale, + shift; ONNX Runtime's basic optimizer folds additions and products.
    """
    import onnx
    import onnxruntime

    while _swapped(written.graph):
        pass
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4  # what is wrong is raised
    options.intra_op_num_threads = 1
    options.optimized_model_filepath = str(Path(folder, "folded.onnx"))
    content, providers = _onnx_files.to_bytes(written), ["CPUExecutionProvider"]
    attempt("is refused by ONNX Runtime", lambda: onnxruntime.InferenceSession(content, options, providers=providers))
    return _renamed(onnx.load(options.optimized_model_filepath))


def _swapped(graph: onnx.GraphProto) -> bool:
    """Whether a constant that is added or multiplied behind a transpose went (in place) before it, to a convolution."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {node.output[0]: place for place, node in enumerate(graph.node)}
    readers = Counter(name for node in graph.node for name in node.input) + Counter(v.name for v in graph.output)
    for place, node in enumerate(graph.node):
        if node.op_type not in ("Add", "Sub", "Mul") or node.input[1] not in constants:
            continue
        before = makers.get(node.input[0])
        if before is None or graph.node[before].op_type != "Transpose" or readers[node.input[0]] > 1:
            continue
        _swap(graph, before, place, constants[node.input[1]])
        return True
    return False


def _swap(graph: onnx.GraphProto, before: int, place: int, constant: onnx.TensorProto) -> None:
    """A transpose (`before`) and what follows it change places; a difference becomes a sum."""
    import numpy as np
    from onnx import helper, numpy_helper

    transpose, node = graph.node[before], graph.node[place]
    (turned,) = [helper.get_attribute_value(each) for each in transpose.attribute if each.name == "perm"]
    values = numpy_helper.to_array(constant)
    values = values.reshape((1,) * (len(turned) - values.ndim) + values.shape).transpose(np.argsort(turned))
    name, inner = f"{node.name}.constant", f"{node.name}.turned"
    graph.initializer.append(numpy_helper.from_array(-values if node.op_type == "Sub" else values, name))
    kind = "Mul" if node.op_type == "Mul" else "Add"
    first = helper.make_node(kind, [transpose.input[0], name], [inner], node.name)
    second = helper.make_node("Transpose", [inner], [node.output[0]], transpose.name, perm=turned)
    graph.node[before].CopyFrom(first)
    graph.node[place].CopyFrom(second)


def _renamed(folded: onnx.ModelProto) -> onnx.ModelProto:
    """With what was folded (in place) under the names of its layers again."""
    held = {tensor.name for tensor in folded.graph.initializer}
    names: dict[str, str] = {}
    for node in folded.graph.node:
        own = [name for name in node.input if name in held]
        if node.op_type in ("Conv", "ConvTranspose", "Gemm") and own and own[0].endswith(".weight"):
            weight = own[0].rpartition(_FUSED)[2]
            names |= dict(zip(own, (weight, weight.removesuffix("weight") + "bias"), strict=False))
    if len({*names.values()} | (held - names.keys())) < len(held):  # two layers of one kernel
        return folded
    for tensor in folded.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in folded.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    return folded
