"""Puts the branch that is taken in the place of an `If` whose condition is known.

ONNX Runtime does so too, but gives the values of two branches one name, and then refuses the file or dies of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.fold import fold
from edgebuild.nn.lift.initializers import array
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, Any]


def inline(model: onnx.ModelProto) -> None:
    """Replace (in place) every `If` that is decided by constants, those inside of branches too."""
    while (place := _decided(model)) is not None:
        number, taken = place
        nodes = [*model.graph.node]
        nodes[number : number + 1] = _unfolded(nodes[number], taken, model.graph)
        del model.graph.node[:]
        model.graph.node.extend(nodes)


def _decided(model: onnx.ModelProto) -> tuple[int, bool] | None:
    """The place of the first such `If`, and its condition."""
    known = _Known(model)
    for number, node in enumerate(model.graph.node):
        if node.op_type == "If" and (condition := known.value(node.input[0])) is not None:
            return number, bool(condition.flatten()[0])
    return None


class _Known:
    """The values that follow from constants alone."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._values: dict[str, Array | None] = {}
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._producers = {name: node for node in model.graph.node for name in node.output}
        self._opsets = [*model.opset_import]

    def value(self, name: str) -> Array | None:
        """The value of this name, None where it depends on an input."""
        if name not in self._values:
            self._values[name] = array(self._tensors[name]) if name in self._tensors else self._computed(name)
        return self._values[name]

    def _computed(self, name: str) -> Array | None:
        node = self._producers.get(name)
        if node is None or node.op_type in ("If", "Loop", "Scan"):
            return None
        inputs = {each: self.value(each) for each in node.input if each}
        if any(value is None for value in inputs.values()):
            return None
        try:
            results = fold(node, {each: value for each, value in inputs.items() if value is not None}, self._opsets)
        except Exception as error:  # whatever this node is, the runtime will say so again
            if exhausted(error):
                raise
            return None
        return dict(zip(filter(None, node.output), results, strict=True)).get(name)


def _unfolded(node: onnx.NodeProto, taken: bool, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes of the branch under names of their own; its constants go to the graph."""
    import onnx

    attribute = "then_branch" if taken else "else_branch"
    branch = next(item.g for item in node.attribute if item.name == attribute)
    own = [tensor.name for tensor in branch.initializer] + [name for inner in branch.node for name in inner.output]
    names = {name: f"{node.output[0]}/{name}" for name in own if name}
    for tensor in branch.initializer:
        held = graph.initializer.add()
        held.CopyFrom(tensor)
        held.name = names[tensor.name]
    nodes = [_renamed(inner, names) for inner in branch.node]
    pairs = zip(branch.output, node.output, strict=True)
    return nodes + [onnx.helper.make_node("Identity", [names.get(o.name, o.name)], [name]) for o, name in pairs]


def _renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """A copy with other names, in the graphs inside of it too."""
    import onnx

    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [names.get(name, name) for name in node.input]
    copy.output[:] = [names.get(name, name) for name in node.output]
    for item in copy.attribute:
        for graph in [*([item.g] if item.HasField("g") else []), *item.graphs]:
            inner = [_renamed(each, names) for each in graph.node]
            del graph.node[:]
            graph.node.extend(inner)
            for value in graph.output:
                value.name = names.get(value.name, value.name)
    return copy
