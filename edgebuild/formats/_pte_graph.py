"""The graph in a .pte file: calls of ExecuTorch's own kernels, and between them the operators of XNNPACK's delegates.

ExecuTorch has no public reader of either, so this relies on modules of the exporter, of the version that is pinned.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from edgebuild.travels import load_pte

# A value: its place among the program's, or the number of a delegate's call and the place among the delegate's.
Value = tuple[int, ...]
_XNN_TYPES = {"fp32": "float32", "fp16": "float16", "bf16": "float16", "int32": "int32"}  # the others have 8 bits
_INTERNAL = 2**32 - 1  # of a delegate's value that is none of the call's arguments


class Tensor(NamedTuple):
    """Its numpy type and shape."""

    dtype: str
    shape: tuple[int, ...]


class Operation(NamedTuple):
    """An operator, such as aten::mean.out or XNNConv2d, its settings, and the values that it takes and makes."""

    kind: str
    settings: str
    taken: tuple[Value, ...]
    made: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """The program's inputs and outputs, operators in the order of execution, and what tensor each value is.

    `computed` are the program's own values without its constants.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    operations: list[Operation] = field(default_factory=list)
    tensors: dict[Value, Tensor] = field(default_factory=dict)
    computed: set[Value] = field(default_factory=set)


def read(model: bytes) -> Graph:
    """The graph of the method that computes."""
    from executorch.exir._serialize._program import deserialize_pte_binary

    program = deserialize_pte_binary(model).program
    (plan,) = (each for each in program.execution_plan if each.name == load_pte.METHOD)
    graph = Graph(tuple((place,) for place in plan.inputs), tuple((place,) for place in plan.outputs))
    _add_values(graph, plan)
    for number, instruction in enumerate(plan.chains[0].instructions):
        call = instruction.instr_args
        if hasattr(call, "delegate_index"):
            content = program.backend_delegate_data[plan.delegates[call.delegate_index].processed.index].data
            _add_delegate(graph, number, _xnnpack(content), call.args)
        elif hasattr(call, "op_index"):
            _add_call(graph, plan, call)
    return graph


def segments(model: bytes) -> list[tuple[int, int]]:
    """Where in the file constants are, and how many bytes: those of delegates one by one, those of kernels at once."""
    from executorch.exir._serialize._program import _flatbuffer_to_program, _get_extended_header

    header = _get_extended_header(model)
    assert header is not None  # the exporter always writes one
    program = _flatbuffer_to_program(model[: header.program_size])
    numbers = {program.constant_segment.segment_index, *(item.segment_index for item in program.named_data)}
    places = [program.segments[number] for number in sorted(numbers)]
    return [(header.segment_base_offset + place.offset, place.size) for place in places if place.size]


def _add_values(graph: Graph, plan: Any) -> None:
    for place, each in enumerate(plan.values):
        tensor = each.val
        if hasattr(tensor, "scalar_type"):
            graph.tensors[(place,)] = Tensor(_numpy_name(tensor.scalar_type), tuple(tensor.sizes))
            if tensor.data_buffer_idx == 0:
                graph.computed.add((place,))


def _numpy_name(scalar_type: int) -> str:
    return load_pte.TYPES.get(int(scalar_type), "int8")


def _add_call(graph: Graph, plan: Any, call: Any) -> None:
    """A kernel's call: its last arguments are what it writes, so what nothing has written before is made here."""
    known = {*graph.inputs, *(value for one in graph.operations for value in one.made)}
    tensors = list(dict.fromkeys(_tensors(plan, call.args)))
    written = tuple(value for value in tensors if value in graph.computed - known)
    taken = tuple(value for value in tensors if value not in written)
    operator = plan.operators[call.op_index]
    settings = [str(plan.values[place].val) for place in call.args if (place,) not in graph.tensors]
    kind = f"{operator.name}.{operator.overload}" if operator.overload else operator.name
    graph.operations.append(Operation(kind, " ".join(settings), taken, written))


def _tensors(plan: Any, places: Sequence[int]) -> Iterator[Value]:
    """The tensors among these values, also those in lists."""
    for place in places:
        value = plan.values[place].val
        if hasattr(value, "scalar_type"):
            yield (place,)
        elif type(value).__name__ in ("TensorList", "OptionalTensorList"):
            yield from ((item,) for item in value.items if item >= 0)


def _add_delegate(graph: Graph, number: int, inside: Mapping[str, Any], arguments: Sequence[int]) -> None:
    """A delegate's operators; values that are the call's arguments are the program's own."""
    names: dict[int, Value] = {}
    for item in inside["xvalues"]:
        value = item["xvalue_union"].get("tensor_value", item["xvalue_union"])
        place, outer = value["id_out"], value["external_id"]
        names[place] = (number, place) if outer == _INTERNAL else (arguments[outer],)
        if outer == _INTERNAL:
            dtype = _XNN_TYPES.get(value["datatype"].removeprefix("xnn_datatype_"), "int8")
            graph.tensors[names[place]] = Tensor(dtype, tuple(value.get("dims", ())))
    graph.operations.extend(_operations(inside["xnodes"], names))


def _operations(nodes: Sequence[Mapping[str, Any]], names: Mapping[int, Value]) -> Iterator[Operation]:
    """Fields that end in `_id` name values, and those of them that begin with `output` what is made."""
    for node in nodes:
        about = node["xnode_union"]
        values = {key: names[place] for key, place in about.items() if key.endswith("_id") and place in names}
        settings = {key: value for key, value in about.items() if not key.endswith("_id")}
        settings["range"] = node.get("output_min_max")
        written = tuple(value for key, value in values.items() if key.startswith("output"))
        taken = tuple(value for key, value in values.items() if not key.startswith("output"))
        yield Operation(node["xnode_union_type"], json.dumps(settings, sort_keys=True), taken, written)


def _xnnpack(content: bytes) -> dict[str, Any]:
    """A delegate's graph, by the schema and the compiler of schemas that come with ExecuTorch."""
    from executorch.backends.xnnpack import serialization
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader
    from executorch.exir._serialize import _flatbuffer

    header = XNNHeader.from_bytes(content[: XNNHeader.EXPECTED_LENGTH])
    (schemas,) = serialization.__path__
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "graph.bin")
        file.write_bytes(content[header.flatbuffer_offset :][: header.flatbuffer_size])
        options = ["--raw-binary"]
        _flatbuffer._flatc_decompile(folder, str(Path(schemas, "schema.fbs")), str(file), options)
        text = file.with_suffix(".json").read_text()
    graph: dict[str, Any] = json.loads(re.sub(r"\b(-?)inf\b", r"\1Infinity", text))
    return graph
