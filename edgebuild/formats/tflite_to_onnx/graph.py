"""The ONNX graph that is written, and what an operator of TFLite is told of its place in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from edgebuild.spec.reader import NoGraphError

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, Any]

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # channels, of pictures


@dataclass(slots=True)
class Graph:
    """Nodes in order, and constants by name; `names` are values that have one."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def node(self, kind: str, inputs: Sequence[str], outputs: int = 1, label: str = "", **attributes: Any) -> Any:
        """The name of what a new node gives; of several outputs a tuple."""
        import onnx

        names = [self.free(f"{label or kind}_{kind}") for _ in range(outputs)]
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), names, self.free(label or kind), **attributes))
        return names[0] if outputs == 1 else tuple(names)

    def constant(self, values: Any, name: str = "constant") -> str:
        """The name of an initializer."""
        import numpy as np

        free = self.free(name)
        self.constants[free] = np.asarray(values)
        return free

    def whole(self, values: Sequence[int]) -> str:
        """One of int64, as shapes and axes are."""
        import numpy as np

        return self.constant(np.array(values, np.int64))

    def free(self, name: str) -> str:
        """This name, or one with a number where it is taken."""
        free, number = name, 1
        while free in self.taken:
            free, number = f"{name}_{number}", number + 1
        self.taken.add(free)
        return free


@dataclass(frozen=True, slots=True)
class Call:
    """One operator: the names of its inputs in `graph` ("" where one is left out), their shapes, what is constant of
    them, its options, and the shapes of its outputs.
    """

    kind: str
    label: str
    graph: Graph
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    values: tuple[Array | None, ...]
    options: Any
    outputs: tuple[tuple[int, ...], ...]

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The name of what one node gives."""
        name: str = self.graph.node(kind, inputs, label=self.label, **attributes)
        return name

    def value(self, place: int) -> Array:
        """An input that must be constant; NoGraphError where it is not."""
        values = self.values[place] if place < len(self.values) else None
        if values is None:
            self.refuse(f"its input {place} is no constant")
        return values

    def whole(self, place: int) -> list[int]:
        """The same of whole numbers."""
        return [int(one) for one in self.value(place).reshape(-1)]

    def scalar(self, value: float) -> str:
        """A constant of float32."""
        import numpy as np

        return self.graph.constant(np.float32(value))

    def weight(self, values: Array, leaf: str) -> str:
        """A constant that a layer owns, under the operator's name."""
        import numpy as np

        return self.graph.constant(np.ascontiguousarray(values, np.float32), f"{self.label}.{leaf}")

    def first(self, name: str) -> str:
        """A picture [1, h, w, c] with its channels first."""
        return self.node("Transpose", name, perm=TO_FIRST)

    def last(self, name: str) -> str:
        """And back."""
        return self.node("Transpose", name, perm=TO_LAST)

    def shaped(self, name: str, shape: Sequence[int]) -> str:
        """With another shape."""
        return self.node("Reshape", name, self.graph.whole([*shape]))

    def activated(self, name: str, kind: int) -> str:
        """With the function that the operator has built in."""
        if kind in (2, 3):  # tflite.ActivationFunctionType
            low, high = ((-1, 1), (0, 6))[kind - 2]
            return self.node("Clip", name, self.scalar(low), self.scalar(high))
        if kind not in (0, 1, 4):
            self.refuse("its built-in function is unknown")
        return name if kind == 0 else self.node("Relu" if kind == 1 else "Tanh", name)

    def refuse(self, reason: str) -> NoReturn:
        """Raise what says that this cannot be written as ONNX."""
        raise NoGraphError(f"{self.kind} {self.label!r} cannot be written as ONNX: {reason}")


def borders(size: int, kernel: int, stride: int, dilation: int, same: bool) -> tuple[int, int]:
    """Zeros before and behind an axis of this size, as TensorFlow's SAME has them; none for VALID."""
    if not same:
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def pads(axes: Sequence[tuple[int, int]]) -> list[int]:
    """As ONNX has them: all beginnings, then all ends."""
    return [before for before, _ in axes] + [behind for _, behind in axes]
