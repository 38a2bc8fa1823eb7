"""One ONNX node as an operator's function sees it: attributes and inputs with types, and ways to write torch for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, NoReturn

from edgebuild.nn.lift import builder
from edgebuild.nn.lift.errors import LiftError

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from torch import Tensor, fx, nn

    from edgebuild.nn.lift.builder import Builder

    Array = np.ndarray[Any, Any]
    Value = fx.Node | Array


class Call:
    """An ONNX node at its turn; `version` is the opset of its domain."""

    def __init__(self, node: onnx.NodeProto, version: int, build: Builder) -> None:
        import onnx

        self.node, self.version, self.build = node, version, build
        self._attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        self.absorbed: dict[str, Value] = {}  # outputs of later nodes that this one gives as well

    # What the node says.

    @property
    def kind(self) -> str:
        """The operator."""
        return str(self.node.op_type)

    def integer(self, name: str, default: int = 0) -> int:
        """A whole-number attribute."""
        return int(self._attributes.get(name, default))

    def integers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """An attribute with several whole numbers."""
        return tuple(int(value) for value in self._attributes.get(name, default))

    def number(self, name: str, default: float) -> float:
        """A floating-point attribute, as the shortest number that its 32 bits stand for."""
        import numpy as np

        return float(str(np.float32(self._attributes.get(name, default))))

    def word(self, name: str, default: str = "") -> str:
        """An attribute with text."""
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def words(self, name: str) -> tuple[str, ...]:
        """An attribute with several texts."""
        return tuple(value.decode() for value in self._attributes.get(name, ()))

    def attribute(self, name: str) -> Any:
        """Any attribute as onnx gives it, None where it is not there."""
        return self._attributes.get(name)

    def has(self, place: int) -> bool:
        """Whether there is an input at this place: optional ones may be left out."""
        return place < len(self.node.input) and bool(self.node.input[place])

    def name(self, place: int) -> str:
        """What the file calls the input at this place, empty where there is none."""
        return str(self.node.input[place]) if self.has(place) else ""

    @property
    def count(self) -> int:
        """How many inputs there are."""
        return len(self.node.input)

    # What its inputs are.

    def value(self, place: int) -> Value:
        """The input: a node, or an array where it is known."""
        name = self.name(place)
        return self.build.nodes[name] if name in self.build.nodes else self.build.arrays[name]

    def is_constant(self, place: int) -> bool:
        """Whether the input is there and known."""
        return self.name(place) in self.build.arrays

    def array(self, place: int) -> Array:
        """An input that must be known now; LiftError where the forward pass computes it."""
        if not self.is_constant(place):
            self.refuse(f"its input {self.name(place)!r} is computed, and torch needs it as a constant")
        return self.build.arrays[self.name(place)]

    def numbers(self, place: int, attribute: str = "") -> tuple[int, ...] | None:
        """Whole numbers from an input that must be known, or from an attribute, as older opsets have it."""
        if self.has(place):
            return tuple(int(number) for number in self.array(place).flatten())
        return self.integers(attribute) if attribute in self._attributes else None

    def tensor(self, place: int) -> fx.Node:
        """The input as a node; what is known becomes a parameter or a buffer."""
        return self.build.node(self.name(place))

    def operand(self, place: int) -> Any:
        """The input for arithmetic with a tensor: like `tensor`, but one known number is that number.

        Unless it is called as a parameter is, for then it is one.
        """
        from edgebuild.nn.lift.names import is_path

        if not self.is_constant(place) or self.array(place).size != 1 or self.array(place).dtype.kind not in "fiub":
            return self.tensor(place)
        value = self.array(place)
        others = [self.rank(other) for other in range(self.count) if other != place and self.has(other)]
        learnt = is_path(self.name(place)) and value.dtype.kind == "f"
        if learnt or value.ndim > max(others, default=0):
            return self.tensor(place)
        return value.item()

    def trial(self, place: int) -> Tensor:
        """What the input was when the operators before it ran on zeros."""
        from edgebuild.nn.lift.initializers import to_tensor

        name = self.name(place)
        result: Tensor = (
            builder.trial(self.build.nodes[name]) if name in self.build.nodes else to_tensor(self.array(place))
        )
        return result

    def shape(self, place: int) -> tuple[int, ...]:
        """The input's shape, with the batch that the file was prepared for."""
        return tuple(self.array(place).shape if self.is_constant(place) else self.trial(place).shape)

    def grows(self, place: int) -> tuple[bool, ...] | None:
        """Which dimensions of a computed input are larger for two examples; None where that is not known."""
        two = builder.trial_of_two(self.build.nodes[self.name(place)])
        if two is None or two.ndim != self.rank(place):
            return None
        return tuple(size != other for size, other in zip(self.shape(place), two.shape, strict=True))

    def rank(self, place: int) -> int:
        """How many dimensions the input has."""
        return len(self.shape(place))

    def axis(self, default: int | None = None, place: int = 0, name: str = "axis") -> int:
        """The attribute `axis`, counted from the front of an input."""
        return self.integer(name, 0 if default is None else default) % max(1, self.rank(place))

    # What is written for it.

    def emit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Node:
        """Call a function in the forward pass."""
        return self.build.call(function, *args, **kwargs)

    def parameter(self, place: int) -> nn.Parameter:
        """The parameter of a constant input, for a layer that takes it as it is."""
        return self.build.initializers.parameter(self.name(place), self.array(place))

    def copy(self, place: int) -> Tensor:
        """The values of a constant input, for a layer that does not learn them."""
        from edgebuild.nn.lift.initializers import to_tensor

        return to_tensor(self.array(place))

    def buffer(self, name: str, values: Array) -> fx.Node:
        """Numbers that the file does not have and the forward pass needs."""
        return self.build.buffer(name, values)

    def is_learnable(self, place: int) -> bool:
        """Whether a constant input may become a parameter."""
        from edgebuild.nn.lift.initializers import is_learnable

        return is_learnable(self.array(place))

    def derived(self, values: Array) -> nn.Parameter:
        """A parameter of its own, for a layer that takes a constant in another order."""
        from torch import nn

        from edgebuild.nn.lift.initializers import to_tensor

        return nn.Parameter(to_tensor(values))

    def layer(self, layer: nn.Module, weight: int, bias: int | str, *args: Any) -> fx.Node:
        """Call a layer that is named by these inputs; the same node elsewhere, with the same constants, is that layer.

        weight, bias: places of inputs, or the name of what another node adds
        """
        from edgebuild.nn.lift import names
        from edgebuild.nn.lift.initializers import is_uniform

        added = bias if isinstance(bias, str) else self.name(bias)
        path = names.layer_path(self.node.name, self.name(weight), added)
        held = [name for name in (*self.node.input, added) if name in self.build.arrays]
        attributes = tuple(sorted((item.name, item.SerializeToString()) for item in self.node.attribute))
        shared: Hashable = (self.kind, repr(layer), self.name(weight), *held, attributes)
        distinct = all(is_uniform(self.build.arrays[name]) for name in held)
        return self.build.apply(layer, path, (self.node.output[0], shared) if distinct else shared, args)

    def unpack(self, result: Any, count: int) -> tuple[fx.Node, ...]:
        """The first of the tensors that a call gave."""
        import operator

        return tuple(self.emit(operator.getitem, result, number) for number in range(count))

    def refuse(self, reason: str, hint: str | None = None) -> NoReturn:
        """LiftError for this node."""
        raise LiftError(reason, node=str(self.node.name or self.node.output[0]), operator=self.kind, hint=hint)

    def need(self, holds: bool, reason: str, hint: str | None = None) -> None:
        """Refuse unless something holds."""
        if not holds:
            self.refuse(reason, hint)
