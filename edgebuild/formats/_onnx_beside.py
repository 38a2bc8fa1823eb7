"""Weights of an .onnx file that lie in other files beside it: which these are, and how they are put inside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edgebuild.formats import _onnx_files
from edgebuild.formats._adopted import attempt
from edgebuild.spec.errors import UsageError, exhausted

if TYPE_CHECKING:
    import onnx


def whole(path: Path) -> bytes | None:
    """The content of a file with the weights that lie in others; None where none do, or where it is no model."""
    try:
        import onnx

        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf raises classes of its own; onnx may not be there
        if exhausted(error):
            raise
        return None
    if not any(_locations(model)):
        return None
    put_inside(model, path.parent)
    return _onnx_files.to_bytes(model)


def put_inside(model: onnx.ModelProto, folder: Path) -> None:
    """Read weights that lie in other files, which must be beside the model, into it."""
    from onnx.external_data_helper import load_external_data_for_model

    beside(model, folder)
    attempt("has weights that cannot be read", lambda: load_external_data_for_model(model, str(folder)))


def beside(model: onnx.ModelProto, folder: Path) -> list[str]:
    """The other files that its weights lie in, from its own folder, in which they must be; UsageError where not."""
    locations = list(dict.fromkeys(_locations(model)))
    for location in locations:
        parts = PurePosixPath(location).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in location:
            raise UsageError(f"names weights outside its folder: {location!r}", hint="save it with its weights beside")
        if not (folder / location).is_file():
            hint = f'put it beside the file, and name it: external = ["{location}"], a path from there'
            raise UsageError(f"has weights in {location!r}, which the build does not read", hint=hint)
    return locations


def _locations(model: onnx.ModelProto) -> Iterator[str]:
    for tensor in tensors(model.graph):
        for entry in tensor.external_data:
            if entry.key == "location":
                yield entry.value


def tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every constant, those of inner graphs too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from [attribute.t, *attribute.tensors]
            for inner in [attribute.g, *attribute.graphs]:
                yield from tensors(inner)
