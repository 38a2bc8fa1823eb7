"""Files that answer maps and words, as scikit-learn's exporters write them: what is left of them are arrays of numbers.

A classifier of theirs answers the name of a class, and a list of maps from names to probabilities (ZipMap).
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _onnx_files
from edgebuild.spec.errors import UsageError
from edgebuild.spec.look import NUMBERS

if TYPE_CHECKING:
    import onnx

_MAPS = "ZipMap"
_OTHERS = ("sequence_type", "map_type", "optional_type", "sparse_tensor_type")  # of onnx.TypeProto
_NAMES = re.compile(r"classlabels_(int64s|ints|strings)$")  # of every classifier of ai.onnx.ml, and of ZipMap


def numbers(model: onnx.ModelProto) -> tuple[str, ...]:
    """Make of every output an array of numbers, or leave it out (in place): a line for each that is another now.

    UsageError for words and for no arrays that go in, and where no output would be left.
    """
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in weights and _words(value):
            raise UsageError(f"takes words ({value.name!r}), and models take numbers here", hint=NUMBERS)
        if value.type.WhichOneof("value") in _OTHERS:
            reason = f"takes a sequence, a map or an optional value ({value.name!r}), and models take arrays here"
            raise UsageError(reason, hint="export it with an input for each array")
    outputs, lines = [*graph.output], list[str]()
    graph.ClearField("output")
    for value in outputs:
        maps = next((node for node in graph.node if node.op_type == _MAPS and value.name in node.output), None)
        if maps is not None:
            _as_array(graph, maps, value)
            lines.append(f"output {value.name!r} is an array of scores: its map from classes to scores is left out")
        elif value.type.WhichOneof("value") != "tensor_type" or _words(value):
            kind = "words" if _words(value) else "no array"
            lines.append(f"output {value.name!r} is left out: it answers {kind}")
            continue
        graph.output.append(value)
    if not graph.output:
        reason = "; ".join(lines) or "answers nothing"
        raise UsageError(f"answers no array of numbers: {reason}", hint="export it with its scores as an output")
    if lines:
        _prune(graph)
    return tuple(lines)


def classes(model: onnx.ModelProto) -> tuple[str, ...]:
    """The classes in order, where the file names them: scikit-learn in a classifier, Ultralytics in its metadata."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if _NAMES.match(attribute.name) and (names := [*attribute.ints, *attribute.strings]):
                return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
    return next(_ultralytics(model), ())


def _ultralytics(model: onnx.ModelProto) -> Iterator[tuple[str, ...]]:
    for item in model.metadata_props:
        if item.key == "names":
            try:
                names = literal_eval(item.value)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
            if isinstance(names, dict) and [*names] == [*range(len(names))]:
                names = [*names.values()]
            if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
                yield tuple(names)


def _words(value: onnx.ValueInfoProto) -> bool:
    import onnx

    return bool(value.type.tensor_type.elem_type == onnx.TensorProto.STRING)


def _as_array(graph: onnx.GraphProto, maps: onnx.NodeProto, value: onnx.ValueInfoProto) -> None:
    """The scores that a map is made of, [examples, classes], under its name (in place)."""
    from onnx import TensorProto, helper

    count = sum(len(each.ints) + len(each.strings) for each in maps.attribute if _NAMES.match(each.name))
    value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [None, count]))
    maps.CopyFrom(helper.make_node("Identity", maps.input[:1], [value.name], maps.name))


def _prune(graph: onnx.GraphProto) -> None:
    """Leave out (in place) operators whose results nobody reads any more."""
    read = {value.name for value in graph.output} | {*_within(graph)}
    kept = list[Any]()
    for node in reversed([*graph.node]):
        if read & {*node.output}:
            read |= {*node.input}
            kept.append(node)
    weights = [tensor for tensor in graph.initializer if tensor.name in read]
    graph.ClearField("node")
    graph.node.extend(kept[::-1])
    graph.ClearField("initializer")
    graph.initializer.extend(weights)


def _within(graph: onnx.GraphProto) -> Iterator[str]:
    """All that graphs within operators read or answer."""
    for inner in _onnx_files.subgraphs(graph):
        yield from (name for node in inner.node for name in node.input)
        yield from (value.name for value in inner.output)
        yield from _within(inner)
