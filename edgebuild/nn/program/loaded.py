"""Loads a .pt2 file that is trusted not to run code, in evaluation mode, and writes it as ONNX for the lift."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.nn import answers
from edgebuild.nn.program import archive, trust
from edgebuild.spec.errors import UsageError, exhausted

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

    Sample = tuple[np.ndarray[Any, Any], ...]


def load(path: Path) -> ExportedProgram:
    """The program, its norms and dropouts as in evaluation; UsageError where it is none, or would run code."""
    import torch

    trust.check(archive.read(path))
    try:
        program = torch.export.load(path)
    except Exception as error:  # it raises whatever the bytes lead to
        if exhausted(error):
            raise
        raise UsageError(f"torch.export does not load it: {_first_line(error)}") from None
    program._guards_code = []  # Python that a file brings along, and that would be executed
    for node in program.graph.nodes:
        _evaluate(node)
    program.graph_module.recompile()
    return program


def to_onnx(path: Path) -> bytes:
    """The program in ONNX; UsageError for an operator that torch's exporter does not know."""
    import torch

    program = load(path)
    try:
        exported = torch.onnx.export(program, verbose=False, external_data=False)
    except Exception as error:
        if exhausted(error):
            raise
        raise UsageError(f"cannot be written as ONNX: {_first_line(error)}") from None
    assert exported is not None
    with tempfile.TemporaryDirectory() as folder:
        exported.save(file := Path(folder, "program.onnx"))
        return file.read_bytes()


def run(path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
    """What the program answers to one sample after another."""
    import torch

    module = load(path).module()
    for sample in samples:
        with torch.no_grad():
            answer = answers.listed(module(*(torch.from_numpy(values) for values in sample)))
        yield tuple(value.numpy() for value in answer)


def _evaluate(node: Any) -> None:
    """Tell an operator that has a mode of training (a batch norm, a dropout) that it is none."""
    import torch

    if not isinstance(node.target, torch._ops.OpOverload):
        return
    for place, argument in enumerate(node.target._schema.arguments):
        if argument.name in ("training", "train") and str(argument.type) == "bool":
            if argument.name in node.kwargs:
                node.update_kwarg(argument.name, False)
            elif place < len(node.args):
                node.update_arg(place, False)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:300]
