"""What a .tflite file consists of: its operators, its layers under their torch names, its activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import UsageError
from edgebuild.spec.layout import Layouts
from edgebuild.spec.quantization import Layer

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.travels.model_values import Port

    Sample = tuple[np.ndarray[Any, Any], ...]

# numpy's names of the element types that inputs and outputs may have, by their numbers in the schema (TensorType).
_TYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8"}
# Operators with weights, and where these stand among the inputs.
_WEIGHTS = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 1,
    "TRANSPOSE_CONV": 1,
    "FULLY_CONNECTED": 1,
    "BATCH_MATMUL": 1,
    "EMBEDDING_LOOKUP": 1,
}


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of the main graph; tensors by name, an absent optional input is empty."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: frozenset[str]


def operators(model: bytes) -> tuple[Operator, ...]:
    """The operators of the main graph in order of execution."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    return tuple(_operators(parsed, parsed.subgraphs[0]))


def inner_operators(model: bytes) -> tuple[Operator, ...]:
    """Those of the graphs within operators."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    return tuple(one for graph in parsed.subgraphs[1:] for one in _operators(parsed, graph))


def _operators(parsed: Any, graph: Any) -> Iterator[Operator]:
    from ai_edge_litert.tools import flatbuffer_utils

    names = [tensor.name.decode() for tensor in graph.tensors]
    filled = [parsed.buffers[tensor.buffer].data is not None for tensor in graph.tensors]
    for operator in graph.operators:
        inputs, outputs = [int(i) for i in operator.inputs], [int(i) for i in operator.outputs]
        kind = flatbuffer_utils.opcode_to_name(parsed, operator.opcodeIndex) or "CUSTOM"
        constants = frozenset(names[i] for i in inputs if i >= 0 and filled[i])
        taken = tuple(names[i] if i >= 0 else "" for i in inputs)
        yield Operator(kind, taken, tuple(names[i] for i in outputs), constants)


def constants(model: bytes) -> dict[str, Any]:
    """The float32 constants of the main graph by name, flat."""
    import numpy as np
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    filled = [(tensor, parsed.buffers[tensor.buffer].data) for tensor in parsed.subgraphs[0].tensors]
    float32 = 0  # TensorType.FLOAT32
    return {
        tensor.name.decode(): np.frombuffer(bytes(data), np.float32)
        for tensor, data in filled
        if data is not None and tensor.type == float32
    }


def layers(model: bytes) -> tuple[Layer, ...]:
    """The operators with weights; of several in one torch module the second is called `name:2`, and so on."""
    counted: Counter[str] = Counter()
    weighted = []
    for operator in operators(model):
        place = _WEIGHTS.get(operator.kind)
        if place is None or operator.inputs[place] not in operator.constants:
            continue
        name = _module(operator.inputs[place]) or _module(operator.outputs[0]) or operator.kind.lower()
        counted[name] += 1
        shown = name if counted[name] == 1 else f"{name}:{counted[name]}"
        weighted.append(Layer(shown, operator.kind, operator.inputs[1 - place], operator.outputs[0]))
    return tuple(weighted)


def _module(tensor: str) -> str:
    """The torch module that the exporter wrote into a tensor's name as `a.Net/b.Sequential_blocks/b.Conv2d_0;1`."""
    places = [part for part in tensor.split(";") if "/" in part]
    steps = places[-1].split("/")[1:] if places else []
    return ".".join(step.rpartition(".")[2].partition("_")[2] for step in steps)


def ends(model: bytes) -> tuple[list[str], list[str]]:
    """Names of the tensors that are the main graph's inputs and outputs, by argument.

    The numbers in its signature tell the order; a file without such numbers, or without a signature, as those of older
    tools are, has its arguments in the graph's own.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    from edgebuild.travels.load_tflite import numbered

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    tensors = [tensor.name.decode() for tensor in parsed.subgraphs[0].tensors]
    graph, signatures = parsed.subgraphs[0], parsed.signatureDefs or []
    inputs = [entry for signature in signatures[:1] for entry in signature.inputs]
    outputs = [entry for signature in signatures[:1] for entry in signature.outputs]
    sides = []
    for entries, own in ((inputs, graph.inputs), (outputs, graph.outputs)):
        named = {entry.name.decode(): tensors[entry.tensorIndex] for entry in entries}
        sides.append([named[name] for name in numbered(named)] or [tensors[number] for number in own])
    return sides[0], sides[1]


def activations(model: bytes, samples: Iterable[Sample], layouts: Layouts) -> Iterator[dict[str, Any]]:
    """Every float tensor that the runtime computes, inputs included, for one sample, as in PyTorch, after another.

    UsageError for a file with operators that only a delegate knows.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from edgebuild.travels import load_tflite, model_values

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # a delegate keeps no tensor but its results
    interpreter = Interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=resolver,
        experimental_preserve_all_tensors=True,
    )
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        hint = "take this step out of the recipe: the file can be judged and bundled as it is"
        raise UsageError(f"LiteRT cannot show what the file computes inside: {reason}", hint=hint) from None
    computed = {name for operator in operators(model) for name in operator.outputs}
    computed.update(detail["name"] for detail in interpreter.get_input_details())
    inputs = model_values.laid_out(load_tflite.ports(interpreter, "input"), {"layouts": {"inputs": layouts}}, "inputs")
    kept = [detail for detail in interpreter.get_tensor_details() if detail["name"] in computed]
    floats = {d["name"]: d["index"] for d in kept if d["dtype"].__name__ == "float32"}
    for sample in samples:
        for port, value in zip(inputs, sample, strict=True):
            interpreter.set_tensor(port.key, model_values.to_raw(value, port))
        interpreter.invoke()
        yield {name: interpreter.get_tensor(index) for name, index in floats.items()}


def ports(model: bytes) -> tuple[list[Port], list[Port]]:
    """Inputs and outputs as the file stores them, by argument, with no runtime to open it; layouts are not told.

    Names are the signature's: the tensors of a shipped file may have none.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    from edgebuild.travels.load_tflite import numbered

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph, signatures = parsed.subgraphs[0], parsed.signatureDefs or []
    inputs = [entry for signature in signatures[:1] for entry in signature.inputs]
    outputs = [entry for signature in signatures[:1] for entry in signature.outputs]
    sides = []
    for entries, own in ((inputs, graph.inputs), (outputs, graph.outputs)):
        named = {entry.name.decode(): entry.tensorIndex for entry in entries}
        ordered = [(name, named[name]) for name in numbered(named)]
        numbers = ordered if len(ordered) == len(own) else [(str(place), number) for place, number in enumerate(own)]
        sides.append([_port(name, graph.tensors[number]) for name, number in numbers])
    return sides[0], sides[1]


@dataclass(frozen=True, slots=True)
class Called:
    """The names by which a signature calls inputs or outputs: in the order of `ports`, and in that of the graph."""

    by_argument: tuple[str, ...]
    by_graph: tuple[str, ...]


def called(model: bytes) -> tuple[Called, Called] | None:
    """What the file's first signature calls its inputs and outputs.

    None for a file without one, or with one that leaves a tensor out.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    from edgebuild.travels.load_tflite import numbered

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph, sides = parsed.subgraphs[0], []
    for signature in (parsed.signatureDefs or [])[:1]:
        for entries, own in ((signature.inputs, graph.inputs), (signature.outputs, graph.outputs)):
            names = {entry.tensorIndex: entry.name.decode() for entry in entries}
            if {*names} != {*map(int, own)}:
                return None
            in_graph = tuple(names[int(number)] for number in own)
            sides.append(Called(tuple(numbered(in_graph)) or in_graph, in_graph))
    return (sides[0], sides[1]) if sides else None


def _port(name: str, tensor: Any) -> Port:
    import numpy as np

    from edgebuild.travels.model_values import Port

    how, shape = tensor.quantization, tensor.shape if tensor.shape is not None else ()
    quantized = how is not None and how.scale is not None and len(how.scale) == 1
    scale, zero = (float(how.scale[0]), int(how.zeroPoint[0])) if quantized else (0.0, 0)
    return Port(name, name, tuple(map(int, shape)), np.dtype(_TYPES[tensor.type]).type, scale, zero)
