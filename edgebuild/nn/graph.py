"""A module as the graph of operators that it executes (torch.export), with its parameters under their own names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn import faithful, untraceable, writes
from edgebuild.nn.exporting import exported
from edgebuild.nn.model_code import example
from edgebuild.nn.operators import operator
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

# Operators with a weight in their second and a bias in their third argument, and the weight's axis of output channels.
OUTPUT_AXIS = {
    "conv1d": 0,
    "conv2d": 0,
    "conv3d": 0,
    "linear": 0,
    "conv_transpose1d": 1,
    "conv_transpose2d": 1,
    "conv_transpose3d": 1,
}
# Where the number of groups stands among a convolution's arguments.
_GROUPS = {"conv1d": 6, "conv2d": 6, "conv3d": 6, "conv_transpose1d": 6, "conv_transpose2d": 6, "conv_transpose3d": 6}


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """The one use of a weight: its node, its parameters' names, and who adds a number to each output channel.

    shift: the parameter that alone does so, the layer's own bias or that of a batch norm which follows alone; or None
    norm: the node of that batch norm, or None
    end: the node that gives the layer's output, the batch norm's where there is one
    """

    node: fx.Node
    weight: str
    shift: str | None
    norm: fx.Node | None

    @property
    def name(self) -> str:
        """The layer's name in the model, as messages show it."""
        return self.weight.removesuffix(".weight")

    @property
    def axis(self) -> int:
        """The weight's axis of output channels."""
        return OUTPUT_AXIS[operator(self.node)]

    @property
    def groups(self) -> int:
        """How many groups a convolution's channels fall into."""
        place = _GROUPS.get(operator(self.node), len(self.node.args))
        groups = self.node.args[place] if place < len(self.node.args) else 1
        assert isinstance(groups, int)
        return groups

    @property
    def end(self) -> fx.Node:
        """The node whose output is the layer's."""
        return self.norm or self.node


def trace(module: nn.Module, inputs: tuple[TensorSpec, ...]) -> fx.GraphModule:
    """The module's graph in eval mode, for any batch size; its parameters are the module's own, not copies.

    UsageError for a module that cannot be traced, whose graph answers otherwise, or whose code fixes the batch size.
    Both converters trace in the same way, so such a module could not be converted either, or for one batch size alone.
    """
    import torch
    from torch import fx
    from torch.fx.experimental.symbolic_shapes import is_concrete_int

    arguments = example(inputs, 2)
    try:
        sizes = tuple({0: torch.export.Dim.AUTO} for _ in arguments)
        traced = exported(module, arguments, dynamic_shapes=sizes).module(check_guards=False)
    except Exception as error:  # models that cannot be traced fail in many ways
        if exhausted(error):
            raise
        reason, hint = untraceable.why(error)
        raise UsageError(f"the model cannot be traced: {reason}", key="builder", hint=hint) from None
    graph = fx.GraphModule(traced, traced.graph)  # without the train() and eval() that exported modules refuse
    writes.without(graph)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    for node in graph.graph.find_nodes(op="placeholder"):
        if node.users and is_concrete_int(node.meta["val"].shape[0]):
            message = f"the model's code fixes the batch size that input {node.name!r} may have"
            raise UsageError(message, key="builder", hint="take it from the input: x.shape[0], or -1 in a reshape")
    faithful.refuse_otherwise(graph, module, arguments)
    return graph


def layers(graph: fx.GraphModule) -> list[Layer]:
    """Every convolution and linear layer in the order of execution; a weight that is used twice is left out."""
    nodes = [node for node in graph.graph.nodes if operator(node) in OUTPUT_AXIS and _parameter(node, 1)]
    return [_layer(node) for node in nodes if len(node.args[1].users) == 1]


def _layer(node: fx.Node) -> Layer:
    weight = _parameter(node, 1)
    assert weight is not None
    users = list(node.users)
    norm = users[0] if len(users) == 1 and operator(users[0]) == "batch_norm" else None
    return Layer(node, weight, _own(node, 2) or (_own(norm, 2) if norm else None), norm)


def _own(node: fx.Node, place: int) -> str | None:
    """The name of a parameter that no other node uses."""
    name: Any = _parameter(node, place)
    return name if name and len(node.args[place].users) == 1 else None  # type: ignore[union-attr]


def _parameter(node: fx.Node, place: int) -> str | None:
    """The name of the parameter that stands at this place of a node's arguments."""
    from torch import fx

    argument = node.args[place] if place < len(node.args) else None
    return str(argument.target) if isinstance(argument, fx.Node) and argument.op == "get_attr" else None


def parameter(graph: nn.Module, name: str) -> Tensor:
    """The parameter or buffer of this full name."""
    path, _, leaf = name.rpartition(".")
    tensor: Tensor = getattr(graph.get_submodule(path), leaf)
    return tensor


def is_float(node: fx.Node) -> bool:
    """Whether the node gives one floating-point tensor."""
    from torch import Tensor

    value: Any = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()


def walk(graph: fx.GraphModule, inputs: tuple[Tensor, ...], see: Callable[[fx.Node, Any], Any]) -> Any:
    """Run the graph without gradients; `see(node, value)` gives what goes on instead of each node's value."""
    import torch
    from torch import fx

    class Walk(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            return see(n, super().run_node(n))

    with torch.no_grad():
        return Walk(graph).run(*inputs)


def followers(node: fx.Node, passes: Callable[[fx.Node], bool]) -> Iterator[tuple[fx.Node, fx.Node]]:
    """(node that gives, node that takes) for what is reached from `node` through nodes that `passes` lets through."""
    for user in node.users:
        if passes(user):
            yield from followers(user, passes)
        else:
            yield node, user
