"""ONNX files with their weights out of the way: what works on a graph does not hold them a second time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from edgebuild.formats import _onnx_files

if TYPE_CHECKING:
    import onnx
    import onnx_ir

Content = bytes | memoryview

_PLACE = (7, 5, 9)  # of what a weight holds, in the fields of onnx.proto: graph, initializer, raw_data
_LARGE = 1024  # bytes of a constant that is no shape
_MARK = b"\0edgebuild: a weight out of the way\0"
_LENGTH, _FIXED = 2, {1: 8, 5: 4}  # kinds of fields, and bytes of those of a fixed size


def apart(model: bytes) -> tuple[onnx.ModelProto, list[Content]]:
    """A file's model, each large weight of the main graph marked in it by its place among those that are returned.

    They are views of the file: nothing is copied. What is renamed, moved or left out of the model is so in `together`.
    """
    import onnx

    weights: list[Content] = []

    def marked(content: Content) -> Content:
        if len(content) <= _LARGE:
            return content
        weights.append(content)
        return _mark(len(weights) - 1)

    return onnx.load_from_string(b"".join(_changed(memoryview(model), _PLACE, marked))), weights


def exported(model: onnx_ir.Model) -> tuple[onnx.ModelProto, list[Content]]:
    """The same of what the exporter made (changed in place); the weights are views of the module's parameters."""
    import onnx
    import onnx_ir

    weights: list[Content] = []
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor is None or tensor.nbytes <= _LARGE or tensor.dtype == onnx_ir.DataType.STRING:
            continue
        mark = onnx.TensorProto(
            name=tensor.name, data_type=tensor.dtype.value, dims=tensor.shape.numpy(), raw_data=_mark(len(weights))
        )
        weights.append(_content(tensor))
        value.const_value = onnx_ir.serde.TensorProtoTensor(mark)
    return onnx_ir.to_proto(model), weights


def together(model: onnx.ModelProto, weights: Sequence[Content]) -> bytes:
    """The file of a model, with the weights where their marks are."""

    def whole(content: Content) -> Content:
        if len(content) == len(_MARK) + 8 and bytes(content[: len(_MARK)]) == _MARK:
            return weights[int.from_bytes(content[len(_MARK) :], "little")]
        return content

    return b"".join(_changed(memoryview(_onnx_files.to_bytes(model)), _PLACE, whole))


def _mark(place: int) -> bytes:
    return _MARK + place.to_bytes(8, "little")


def _content(tensor: onnx_ir.TensorProtocol) -> Content:
    """Its bytes as a file has them, without a copy where they lie so in memory."""
    import numpy as np

    values = np.ascontiguousarray(tensor.numpy())
    plain = values.nbytes == tensor.nbytes  # else several values share a byte
    return values.reshape(-1).view(np.uint8).data if plain else tensor.tobytes()


class _Field(NamedTuple):
    """A field of a message: its number, where it begins, where its content does if its length is told, and its end."""

    number: int
    start: int
    content: int | None
    end: int


def _changed(message: memoryview, place: Sequence[int], change: Callable[[Content], Content]) -> list[Content]:
    """The chunks of a message in which other bytes stand in every field at this place, those around it adjusted."""
    chunks: list[Content] = []
    for field in _fields(message):
        if field.number != place[0] or field.content is None:
            chunks.append(message[field.start : field.end])
            continue
        content = message[field.content : field.end]
        inner = _changed(content, place[1:], change) if len(place) > 1 else [change(content)]
        chunks += [_varint(field.number << 3 | _LENGTH), _varint(sum(map(len, inner))), *inner]
    return chunks


def _fields(message: memoryview) -> Iterator[_Field]:
    """The fields of a message (protobuf.dev, "Encoding") in their order."""
    place = 0
    while place < len(message):
        start = place
        tag, place = _number(message, place)
        kind, content = tag & 7, None
        if kind == _LENGTH:
            length, content = _number(message, place)
            place = content + length
        elif kind in _FIXED:
            place += _FIXED[kind]
        else:
            _, place = _number(message, place)
        yield _Field(tag >> 3, start, content, place)


def _number(message: memoryview, place: int) -> tuple[int, int]:
    """A number in groups of seven bits from a place on, and where it ends."""
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
