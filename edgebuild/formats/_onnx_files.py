"""ONNX files without what no runtime reads, with numbers for names: the same bytes wherever they are made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

    from edgebuild.spec.signature import Signature


def strip(model: onnx.ModelProto) -> bytes:
    """The cleaned model with numbers for names: what a device needs, and no more."""
    import onnx

    in_order(clean(model).graph)
    number_values(model.graph)
    onnx.checker.check_model(model, full_check=True)  # as long as it can name the operator
    for node in model.graph.node:
        node.name = ""
    return to_bytes(model)


def to_bytes(model: onnx.ModelProto) -> bytes:
    """The file."""
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop (in place) what no runtime reads: doc strings, metadata (it holds source paths), unused domains."""
    graph = model.graph
    for item in [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]:
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    graph.ClearField("value_info")
    used = {*_domains(graph), ""}  # operators of ONNX's own are what tools add
    domains = [domain for domain in model.opset_import if domain.domain in used]
    model.ClearField("opset_import")
    model.opset_import.extend(domains)
    return model


def _domains(graph: onnx.GraphProto) -> Iterator[str]:
    """Of all operators, those of inner graphs too."""
    yield from [node.domain for node in graph.node]
    for each in subgraphs(graph):
        yield from _domains(each)


def name_layers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Call (in place) every node that has weights as the torch module is called that it came from.

    The exporter tells by the weights' names and by the scopes in its metadata.
    """
    weights = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    taken: set[str] = set()
    for node in model.graph.node:
        own = [name for name in node.input if weights.get(name, 0) > 1]
        module = _module(node, own)
        if own and module and module not in taken:
            node.name = module
            taken.add(module)
    return model


def _module(node: onnx.NodeProto, weights: list[str]) -> str:
    import ast

    owners = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    if owners:
        return owners[0]
    scopes = [item.value for item in node.metadata_props if item.key.endswith("name_scopes")]
    return str((ast.literal_eval(scopes[0])[:-1] or [""])[-1]) if scopes else ""


def name_ends(model: onnx.ModelProto, signature: Signature) -> onnx.ModelProto:
    """Call (in place) inputs and outputs as the model declares them, and inner values of these names otherwise.

    Left as they are where a value would need two names: an output that is an input, or the same as another output.
    """
    graph = model.graph
    old = [value.name for value in (*graph.input, *graph.output)]
    new = [spec.name for spec in (*signature.inputs, *signature.outputs)]
    if len(new) != len(old) or len({*old}) < len(old) or len({*new}) < len(new):
        return model
    names = dict(zip(old, new, strict=True))
    inner = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    taken = inner | {*new}
    for name in sorted(inner & {*new} - {*old}):
        names[name] = next(free for k in count(1) if (free := f"{name}_{k}") not in taken)
        taken.add(names[name])
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names.get(value.name, value.name)
    rename_within(graph, names)
    return model


def number_values(graph: onnx.GraphProto, ending: str = "") -> dict[str, str]:
    """Replace (in place) every value's name but those of the graph's own inputs and outputs; the names by the old ones.

    Those may be called "10" as well, so numbers that they have are passed over. With an `ending` no name begins with
    another one: tools that append to a name (ONNX Runtime's quantizer: digits, "_scale") make none that is taken.
    """
    own = {value.name for value in [*graph.input, *graph.output]}
    kept = {"": "", **{name: name for name in own}}  # the first is an absent optional input
    numbers = (number for each in count(len(kept)) if (number := f"{each:x}{ending}") not in own)
    for name in _made(graph):
        if name not in kept:
            kept[name] = next(numbers)
    _rename(graph, kept)
    return kept


def _own(graph: onnx.GraphProto) -> Iterator[str]:
    """The names of all constants and results."""
    yield from [tensor.name for tensor in graph.initializer]
    yield from [name for node in graph.node for name in node.output if name]


def _made(graph: onnx.GraphProto) -> Iterator[str]:
    """The names of all constants and results, those of inner graphs (the arms of an If) too."""
    yield from _own(graph)
    for inner in subgraphs(graph):
        yield from [value.name for value in inner.input]
        yield from _made(inner)


def read(graph: onnx.GraphProto) -> Iterator[str]:
    """The names of all values that are read: by operators, also of inner graphs, or as outputs."""
    yield from [value.name for value in graph.output]
    yield from _read_by_operators(graph)


def _read_by_operators(graph: onnx.GraphProto) -> Iterator[str]:
    yield from [name for node in graph.node for name in node.input]
    for inner in subgraphs(graph):
        yield from read(inner)


def outputs_apart(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let (in place) no operator read one of the model's outputs, but the value that this one then copies.

    What gives an output another type, as half precision with float borders does, would give it to those operators too.
    """
    from onnx import helper

    graph = model.graph
    results = {name for node in graph.node for name in node.output}
    inside = {*_read_by_operators(graph)}
    names = free(graph, [value.name for value in graph.output if value.name in results & inside])
    rename_within(graph, names)
    graph.node.extend(helper.make_node("Identity", [inner], [name], name=inner) for name, inner in names.items())
    return model


def outputs_computed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let (in place) every output be a value of its own that an operator computes.

    One that is an input, a constant or another output as well is copied: tools that put an operator before outputs or
    call them otherwise take each for the result of an operator.
    """
    from onnx import helper

    graph = model.graph
    results = {name for node in graph.node for name in node.output}
    for value in graph.output:
        if value.name in results:
            results.discard(value.name)  # and a second of this name is a copy
            continue
        (copy,) = free(graph, [value.name]).values()
        graph.node.append(helper.make_node("Identity", [value.name], [copy], name=copy))
        value.name = copy
    return model


def in_order(graph: onnx.GraphProto) -> None:
    """Put operators (in place) behind those whose results they read, also within the graphs inside of them, of which
    the quantizers' own sorting knows nothing; else they stay where they are.
    """
    nodes = [*graph.node]
    makers = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    needs = [{makers[name] for name in _needed(node) if name in makers} - {place} for place, node in enumerate(nodes)]
    order = dict[int, None]()  # places in the order in which they are put
    for first in range(len(nodes)):
        open_ = [first]
        while open_:
            place = open_[-1]
            waiting = [other for other in sorted(needs[place]) if other not in order and other not in open_]
            if waiting:
                open_.append(waiting[0])
                continue
            order[open_.pop()] = None
    graph.ClearField("node")
    graph.node.extend(nodes[place] for place in order)
    for inner in subgraphs(graph):
        in_order(inner)


def _needed(node: onnx.NodeProto) -> Iterator[str]:
    """The names that an operator reads, within the graphs inside of it as well."""
    yield from node.input
    for attribute in node.attribute:
        for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            yield from read(inner)


def names_apart(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let (in place) no two values have one name, as those of the arms of an If may: ONNX Runtime, which puts the arm
    that a constant decides in its place, dies of it.
    """
    graph = model.graph
    own = {value.name for value in graph.input} | {*_own(graph)}
    for each in subgraphs(graph):
        _apart(each, {}, own)
    return model


def _apart(graph: onnx.GraphProto, names: Mapping[str, str], taken: set[str]) -> None:
    """Give (in place) what an inner graph makes names of its own; `names` are those of what it reads from outside."""
    own_names = [*(value.name for value in graph.input), *_own(graph)]
    within = {name: own for name, own in names.items() if name not in own_names}
    for name in own_names:
        if name in taken:
            within[name] = next(free for k in count(1) if (free := f"{name}_{k}") not in taken)
    taken.update(within.get(name, name) for name in own_names)
    for value in [*graph.initializer, *graph.value_info, *graph.input, *graph.output]:
        value.name = within.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [within.get(name, name) for name in node.input]
        node.output[:] = [within.get(name, name) for name in node.output]
    for each in subgraphs(graph):
        _apart(each, within, taken)


def free(graph: onnx.GraphProto, names: Iterable[str]) -> dict[str, str]:
    """For each of these names one like it that nothing is called by yet."""
    taken = {*_made(graph), *read(graph), *(value.name for value in graph.input)}
    fresh: dict[str, str] = {}
    for name in names:
        fresh[name] = next(free for k in count(1) if (free := f"{name}_{k}") not in taken)
        taken.add(fresh[name])
    return fresh


def results_named(graph: onnx.GraphProto) -> set[str]:
    """Give (in place) a name to results that have none, for nobody reads them, and which tools take for absent inputs;
    these names.
    """
    names = set[str]()
    for node in graph.node:
        for place, name in enumerate(node.output):
            if not name:
                node.output[place] = f"{node.name}.{place} unread"
                names.add(node.output[place])
    return names


def forget_types(graph: onnx.GraphProto) -> None:
    """Drop (in place) what is said of values within, also of inner graphs."""
    graph.ClearField("value_info")
    for each in subgraphs(graph):
        forget_types(each)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for value in [*graph.initializer, *graph.value_info, *graph.input, *graph.output]:
        value.name = names.get(value.name, value.name)
    rename_within(graph, names)


def rename_within(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename (in place) what operators read and write; the graph's own inputs, outputs and constants stay."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for inner in subgraphs(graph):
        _rename(inner, names)


def subgraphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graphs within its operators, of the first level."""
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        yield from [attribute.g] if attribute.HasField("g") else []
        yield from attribute.graphs
