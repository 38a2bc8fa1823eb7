"""The layout of a .tflite file's inputs and outputs: channels last where that saves a transpose, told in the file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _tflite_graph
from edgebuild.spec.layout import NCHW, NHWC, Layouts

if TYPE_CHECKING:
    from torch import Tensor

ENTRY = "edgebuild.layouts"  # of the file's metadata
# What the exporter's wrapper, which transposes, adds to the names of tensors.
_WRAPPER = re.compile(r"litert_torch\._convert\.to_channel_last_io\.ChannelLastIOWrapper/([^/;]*)_wrapped\b")


def images(tensors: Sequence[Tensor], requested: str | None) -> Layouts:
    """Channels last for every tensor shaped like a picture, [N, C, H, W] of floats, unless NCHW is requested."""
    return tuple(
        NHWC if requested != NCHW and tensor.dim() == 4 and tensor.is_floating_point() else None for tensor in tensors
    )


def channels_last(tensor: Tensor, layout: str | None) -> Tensor:
    """The tensor as the file takes it."""
    return tensor.permute(0, 2, 3, 1).contiguous() if layout == NHWC else tensor


def useful(model: bytes, inputs: Layouts, outputs: Layouts) -> tuple[Layouts, Layouts]:
    """The layouts without those that gained nothing: a transpose still stands at that input or output."""
    every = _tflite_graph.operators(model)
    transposes = [operator for operator in every if operator.kind == "TRANSPOSE"]
    read = {name for operator in transposes for name in operator.inputs}
    written = {name for operator in transposes for name in operator.outputs}
    taken, returned = _tflite_graph.ends(model)
    return (
        tuple(None if name in read else layout for name, layout in zip(taken, inputs, strict=True)),
        tuple(None if name in written else layout for name, layout in zip(returned, outputs, strict=True)),
    )


def mark(model: bytes, inputs: Layouts, outputs: Layouts) -> bytes:
    """The same file with the layouts in its metadata, and without the exporter's wrapper in its names."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    for tensor in (tensor for graph in parsed.subgraphs for tensor in graph.tensors):
        tensor.name = _WRAPPER.sub(r"\1", tensor.name.decode()).encode()
    content, entry = schema.BufferT(), schema.MetadataT()
    content.data = list(json.dumps([inputs, outputs]).encode())
    entry.name, entry.buffer = ENTRY.encode(), len(parsed.buffers)
    parsed.buffers.append(content)
    parsed.metadata = [*(parsed.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


def read(model: bytes) -> tuple[Layouts, Layouts]:
    """The layouts of a file's inputs and outputs; none of a file that says nothing of them."""
    from ai_edge_litert.schema_py_generated import Model

    root = Model.GetRootAs(model)
    for number in range(root.MetadataLength()):
        entry: Any = root.Metadata(number)
        if entry.Name() == ENTRY.encode():
            inputs, outputs = json.loads(root.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
            return tuple(inputs), tuple(outputs)
    return (), ()
