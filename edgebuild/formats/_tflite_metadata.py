"""TFLite Model Metadata: what a .tflite file says of its own tensors to who reads it, by the standard schema.

https://ai.google.dev/edge/litert/models/metadata; the numbers of fields and enumerations are those of
metadata_schema.fbs 1.5.0. It lies in a buffer of the model that is named TFLITE_METADATA, as a flatbuffer of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.spec.preprocess import Pixels

if TYPE_CHECKING:
    import flatbuffers

_NAME, _IDENTIFIER = b"TFLITE_METADATA", b"M001"
DESCRIPTIONS, AXIS_LABELS, VALUE_LABELS = 1, 2, 3  # AssociatedFileType
_COLOURS = {"rgb": 1, "grey": 2, "bgr": 0}  # ColorSpaceType, which has no name for the last
_IMAGE, _NORMALIZATION = 2, 1  # of ContentProperties, of ProcessUnitOptions
_BYTE, _UINT = "Int8", "Uint32"

Value = Any  # a text, (width, number), a table, a list of tables or of texts, a tuple of floats
Table = Mapping[int, Value]  # by the number of the field; None is left out


@dataclass(frozen=True, slots=True)
class File:
    """A file that is packed behind the model: its name there, what it is, and its type in the schema."""

    name: str
    description: str
    kind: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output."""

    name: str
    description: str = ""
    axes: tuple[str, ...] = ()
    pixels: Pixels | None = None
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """A model's: its tensors in the order of the graph, and files about the whole."""

    name: str
    description: str
    version: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    files: tuple[File, ...] = ()


def described(model: bytes, description: Description) -> bytes:
    """The file with this metadata in the place of any other; what it computes stays as it is."""
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(_flatbuffer(description), np.uint8)
    entry.name, entry.buffer = _NAME, len(parsed.buffers)
    parsed.metadata = [one for one in parsed.metadata or [] if one.name != _NAME] + [entry]
    parsed.buffers.append(buffer)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


def _flatbuffer(description: Description) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(_written(builder, _model(description)), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _model(whole: Description) -> Table:
    """ModelMetadata, none of it newer than the first version of the schema."""
    graph = {2: [_tensor(each) for each in whole.inputs], 3: [_tensor(each) for each in whole.outputs]}
    files = [_file(each) for each in whole.files]
    return {0: whole.name, 1: whole.description, 2: whole.version, 3: [graph], 6: files, 7: "1.0.0"}


def _tensor(tensor: Tensor) -> Table:
    """TensorMetadata; of a picture also its content, its normalisation, and the least and most of its pixels."""
    table = {0: tensor.name, 1: tensor.description, 2: list(tensor.axes), 6: [_file(each) for each in tensor.files]}
    if (pixels := tensor.pixels) is None:
        return table
    properties = {0: (_BYTE, _COLOURS[pixels.colours]), 1: {0: (_UINT, pixels.width), 1: (_UINT, pixels.height)}}
    unit = {0: (_BYTE, _NORMALIZATION), 1: {0: pixels.mean, 1: pixels.std}}  # a union is its type and its value
    return table | {3: {0: (_BYTE, _IMAGE), 1: properties}, 4: [unit], 5: {0: (255.0,), 1: (0.0,)}}


def _file(file: File) -> Table:
    return {0: file.name, 1: file.description, 2: (_BYTE, file.kind)}


def _written(builder: flatbuffers.Builder, table: Table) -> int:
    """Write a table, what it refers to first; its offset."""
    filled = {slot: value for slot, value in table.items() if value is not None and value not in ("", [])}
    ready = {slot: value if _is_number(value) else _referred(builder, value) for slot, value in filled.items()}
    builder.StartObject(max(ready, default=-1) + 1)
    for slot, value in ready.items():
        if isinstance(value, tuple):
            getattr(builder, f"Prepend{value[0]}Slot")(slot, value[1], 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return int(builder.EndObject())


def _is_number(value: Value) -> bool:
    return isinstance(value, tuple) and value[0] in (_BYTE, _UINT)


def _referred(builder: flatbuffers.Builder, value: Value) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Mapping):
        return _written(builder, value)
    if isinstance(value, tuple):
        return _vector(builder, value, builder.PrependFloat32)
    return _vector(builder, [_referred(builder, each) for each in value], builder.PrependUOffsetTRelative)


def _vector(builder: flatbuffers.Builder, values: Sequence[float], prepend: Any) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        prepend(value)
    return int(builder.EndVector())
