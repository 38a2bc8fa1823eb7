"""What is put right in an .onnx file of others before a runtime opens it, with a line for each thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.formats import _onnx_beside, _onnx_files, _onnx_words
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import onnx

_SEPARATE = 4  # IR version from which on weights need not be listed as inputs
_NAMED = 5  # inputs that a line names


def repaired(model: onnx.ModelProto) -> tuple[str, ...]:
    """Make of every output an array of numbers, or leave it out, and give operators of one name others (in place): a
    line for each thing that is another now. UsageError as `_onnx_words.numbers`.
    """
    lines = _onnx_words.numbers(model)
    shared = dict.fromkeys(_names_apart(model.graph))
    return (*lines, *(f"operators that were all called {name!r} have names of their own now" for name in shared))


def fixed(model: onnx.ModelProto) -> tuple[str, ...]:
    """A line where inputs have values in the file and so need not be fed: here they are constants.

    Files of IR version 3 and before list all weights as inputs, and of these nothing is said.
    """
    values = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name in values]
    if not names or model.ir_version < _SEPARATE:
        return ()
    listed = ", ".join(map(repr, names[:_NAMED])) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    if len(names) > 1:
        return (f"inputs {listed} have values in the file, and count as constants (what is to be fed must have none)",)
    return (f"input {listed} has a value in the file, and counts as a constant (what is to be fed must have none)",)


def content(path: Path) -> str | bytes:
    """What a runtime opens: the file's path, or where it is changed its content, with weights of other files."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    if not repaired(model):
        return str(path)
    onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
    return _onnx_files.to_bytes(model)


def whole(path: Path) -> tuple[bytes | None, tuple[str, ...]]:
    """The content of a file that cannot travel as it is, with weights of other files, and what to say of it.

    None for one that can, and for what is no model, of which its runtime says what it is.
    """
    try:
        import onnx

        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf raises classes of its own; onnx may not be there
        if exhausted(error):
            raise
        return None, ()
    if not model.graph.node:
        return None, ()
    beside, lines = bool(_onnx_beside.locations(model)), repaired(model)
    if beside:
        _onnx_beside.put_inside(model, path.parent)
    return (_onnx_files.to_bytes(model) if beside or lines else None), (*lines, *fixed(model))


def _names_apart(graph: onnx.GraphProto) -> Iterator[str]:
    """Give (in place) operators of one graph names of their own; those that several had."""
    named = Counter(node.name for node in graph.node if node.name)
    taken = {*named}
    for node in graph.node:
        if named[node.name] > 1:
            yield node.name
            node.name = next(free for k in count(1) if (free := f"{node.name}_{k}") not in taken)
            taken.add(node.name)
    for inner in _onnx_files.subgraphs(graph):
        yield from _names_apart(inner)
