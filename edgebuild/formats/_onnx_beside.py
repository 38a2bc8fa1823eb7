"""Weights of an .onnx file that lie in other files beside it: which these are, and how they are put inside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edgebuild.formats._adopted import attempt
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    import onnx


def put_inside(model: onnx.ModelProto, folder: Path) -> None:
    """Read weights that lie in other files, which must be beside the model, into it."""
    from onnx.external_data_helper import load_external_data_for_model

    beside(model, folder)
    attempt("has weights that cannot be read", lambda: load_external_data_for_model(model, str(folder)))


def beside(model: onnx.ModelProto, folder: Path) -> list[str]:
    """The other files that its weights lie in, from its own folder, in which they must be; UsageError where not."""
    names = locations(model)
    for location in names:
        parts = PurePosixPath(location).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in location:
            raise UsageError(f"names weights outside its folder: {location!r}", hint="save it with its weights beside")
        if not (folder / location).is_file():
            hint = f'put it beside the file, and name it: external = ["{location}"], a path from there'
            raise UsageError(f"has weights in {location!r}, which the build does not read", hint=hint)
    return names


def locations(model: onnx.ModelProto) -> list[str]:
    """The other files that its weights lie in, as it names them."""
    entries = (entry for tensor in tensors(model.graph) for entry in tensor.external_data)
    return list(dict.fromkeys(entry.value for entry in entries if entry.key == "location"))


def tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every constant, those of inner graphs too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from [attribute.t, *attribute.tensors]
            for inner in [attribute.g, *attribute.graphs]:
                yield from tensors(inner)
