"""Writes the forward pass of a lifted file, one operator after another, and tries each as it is written.

Every value is known by its shape and type at once, for each operator runs on zeros when it is added: what torch cannot
compute is told with the node at which that is, and nothing relies on the shapes that a file claims.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift import names
from edgebuild.nn.lift.initializers import Initializers, is_learnable, is_uniform, to_tensor
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from torch import Tensor, fx, nn

    Array = np.ndarray[Any, Any]
    Value = fx.Node | Array

# What a node gave when it was added, to one example and to two, for as long as later operators need it.
_ONE, _TWO = "one example", "two examples"


class Builder:
    """The graph under construction, the layers that it calls, and every value of the file so far by name."""

    def __init__(self, initializers: Initializers, nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> None:
        from torch import fx, nn

        self.graph = fx.Graph()
        self.layers: nn.Module = nn.Module()
        self.initializers = initializers
        self.arrays: dict[str, Array] = dict(initializers.arrays)  # what is known now
        self.nodes: dict[str, fx.Node] = {}  # what the forward pass computes
        self._tree = names.Tree(self.layers)
        self._nodes = nodes
        self._unread = Counter(name for node in nodes for name in node.input) + Counter(outputs)
        self._parameters: dict[str, fx.Node] = {}
        self._placed: dict[Hashable, str] = {}
        self._fresh: list[fx.Node] = []
        self._aliased: set[int] = set()

    def input(self, name: str, one: Tensor, two: Tensor) -> None:
        """One more input of the module, and what it is tried on: one example, and two."""
        node = self.graph.placeholder(names.identifier(name))
        node.meta[_ONE], node.meta[_TWO] = one, two
        self.nodes[name] = node

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Node:
        """One more call of a function on nodes and plain values."""
        node = self.graph.call_function(function, args, kwargs)
        return self._tried(node, lambda key: function(*_trials(args, key), **_trials(kwargs, key)))

    def apply(self, layer: nn.Module, path: str, key: Hashable, args: tuple[Any, ...]) -> fx.Node:
        """One more call of a layer, which goes to this path; an earlier one with the same `key` is called again."""
        if key not in self._placed:
            self._placed[key] = self._tree.add(path, layer)
        node = self.graph.call_module(self._placed[key], args)
        return self._tried(node, lambda number: layer.eval()(*_trials(args, number)))

    def constant(self, name: str) -> fx.Node:
        """A node for a constant that no layer takes: a parameter where it can be learnt, else a buffer."""
        values = self.arrays[name]
        if name not in self._parameters or is_uniform(values):
            learnt = is_learnable(values)
            self._parameters[name] = self._held(name, self.initializers.parameter(name, values) if learnt else values)
        return self._parameters[name]

    def buffer(self, name: str, values: Array) -> fx.Node:
        """A node for numbers that are not to be learnt."""
        return self._held(name, values)

    def _held(self, name: str, values: Array | nn.Parameter) -> fx.Node:
        from torch import nn

        leaf = values if isinstance(values, nn.Parameter) else nn.Buffer(to_tensor(values))
        node = self.graph.get_attr(self._tree.add(names.clean(name), leaf))
        node.meta[_ONE] = node.meta[_TWO] = leaf.data
        return node

    def node(self, name: str) -> fx.Node:
        """Any value as a node."""
        return self.nodes[name] if name in self.nodes else self.constant(name)

    def result(self, name: str) -> fx.Node:
        """The node of an output; of a constant, which nobody should learn, a buffer."""
        return self.nodes[name] if name in self.nodes else self.buffer(name, self.arrays[name])

    def has(self, name: str) -> bool:
        """Whether there is such a value yet."""
        return name in self.nodes or name in self.arrays

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """The one node that reads a value; None where several do, or where it is an output of the file."""
        readers = [node for node in self._nodes if name in node.input]
        return readers[0] if len(readers) == 1 and self._unread[name] == 1 else None

    def finish(self, node: onnx.NodeProto, results: dict[str, Value]) -> None:
        """Name what an ONNX node gave, and forget the trial values that no later node reads."""
        from torch import fx

        for name, value in results.items():
            if isinstance(value, fx.Node):
                self.nodes[name] = value
            else:
                self.arrays[name] = value
        kept = {id(value) for name, value in results.items() if self._unread[name]}
        for name in node.input:
            self._unread[name] -= 1
        spent = [self.nodes[name] for name in node.input if name in self.nodes and not self._unread[name]]
        self._aliased |= kept - {id(value) for value in self._fresh}  # an identity: one node under two names
        for used in (*self._fresh, *spent):
            if id(used) not in kept | self._aliased:
                used.meta.pop(_ONE, None)
                used.meta.pop(_TWO, None)
        self._fresh = []

    def _tried(self, node: fx.Node, attempt: Callable[[str], Any]) -> fx.Node:
        import torch

        with torch.no_grad():
            node.meta[_ONE] = attempt(_ONE)
            try:
                node.meta[_TWO] = attempt(_TWO)
            except Exception as error:  # the file's operators are for one example alone, and fail in any way
                if exhausted(error):
                    raise
                node.meta[_TWO] = None
        self._fresh.append(node)
        return node


def trial(node: fx.Node) -> Any:
    """What a node gave on zeros: a tensor, or a tuple of tensors."""
    return node.meta[_ONE]


def trial_of_two(node: fx.Node) -> Any:
    """The same for two examples at once; None where that cannot be computed."""
    return node.meta[_TWO]


def _trials(values: Any, key: str) -> Any:
    from torch.fx.node import map_arg

    return map_arg(values, lambda node: node.meta[key])
