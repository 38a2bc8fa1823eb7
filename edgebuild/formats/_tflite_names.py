"""The names of a .tflite file's inputs and outputs: those of its signature, by which programs ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgebuild.spec.signature import Signature
from edgebuild.travels.load_tflite import numbered


def name_ends(model: bytes, signature: Signature) -> bytes:
    """The file with the declared names in its signature, and its inputs and outputs in the declared order.

    The exporter's names, args_0 and output_0, tell the order, which a graph's own need not be. Declared names that
    end in numbers of another order would tell a loader the wrong one: a side with such names keeps the exporter's.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    (graph, *_), entries = parsed.subgraphs, parsed.signatureDefs or []
    if len(entries) != 1:
        return model
    graph.inputs = _named(entries[0].inputs, [one.name for one in signature.inputs], list(graph.inputs))
    graph.outputs = _named(entries[0].outputs, [one.name for one in signature.outputs], list(graph.outputs))
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


def _named(entries: Sequence[Any], names: Sequence[str], ends: list[int]) -> list[int]:
    """Rename the entries of one side (in place); its tensors in the order of the arguments, or as they were."""
    by_name = {entry.name.decode(): entry for entry in entries}
    order = numbered(by_name)
    tensors = [by_name[name].tensorIndex for name in order]
    if len(names) != len(order) or sorted(tensors) != sorted(ends):
        return ends
    if not numbered(names) or numbered(names) == [*names]:
        for old, new in zip(order, names, strict=True):
            by_name[old].name = new.encode()
    return tensors
