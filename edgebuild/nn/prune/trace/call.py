"""One call of an operator in the graph, as rules see it: its arguments by name, and what happens to channel numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgebuild.nn.prune.trace.numbers import Numbers
from edgebuild.nn.prune.trace.value import PLACES, Value

if TYPE_CHECKING:
    from edgebuild.nn.prune.trace.numbers import Ids

_TORCH = ("/torch/", "<")  # frames that are not the user's


@dataclass(frozen=True, slots=True)
class Side:
    """An axis that a layer makes or reads: `layer` is the parameter whose axis it is."""

    layer: str
    ids: Ids


@dataclass(frozen=True, slots=True)
class Norm:
    """Channels over which a norm takes its statistics; `weight` is its parameter, by which its calls are known."""

    weight: str | None
    ids: Ids


@dataclass(frozen=True, slots=True)
class Size:
    """A whole number among an operator's arguments: how many of `ids` there are. `modules` ran it, innermost first."""

    modules: tuple[str, ...]
    ids: Ids


@dataclass(slots=True)
class Notes:
    """What rules find out besides the numbers; `folds` says of norms which weight makes what they norm."""

    births: list[Side] = field(default_factory=list)
    reads: list[Side] = field(default_factory=list)
    folds: dict[str, str] = field(default_factory=dict)
    heads: list[Ids] = field(default_factory=list)
    norms: list[Norm] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Call:
    """An operator with its arguments: values in the place of tensors, and the shapes of its results."""

    name: str
    arguments: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    numbers: Numbers
    notes: Notes
    where: str
    modules: tuple[str, ...]
    target: Callable[..., Any]

    def values(self) -> list[Value]:
        """All tensors among the arguments."""
        from torch.utils import _pytree

        leaves = _pytree.tree_leaves([*self.arguments.values()])
        return [leaf for leaf in leaves if isinstance(leaf, Value)]

    def unite(self, one: Ids, other: Ids) -> None:
        """These axes lose the same places."""
        self.numbers.unite(one, other, self.where)

    def protect(self, ids: Ids, why: str = "") -> None:
        """These cannot go, because of this operator."""
        self.numbers.protect(ids, f"{self.where} {why or 'cannot be followed'}")

    def places(self, size: int) -> Ids:
        """An axis of no channels."""
        return self.numbers.fixed("an axis of one" if size == 1 else PLACES, size)

    def made(self, size: int) -> Ids:
        """An axis of no channels, which this operator makes: reasons name it and the line of the code."""
        return self.numbers.fixed("an axis of one" if size == 1 else f"what {self.where} makes", size)

    def sized(self, ids: Ids) -> None:
        """The operator's arguments hold the length of this axis."""
        self.notes.sizes.append(Size(self.modules, ids))

    def born(self, layer: Value, ids: Ids) -> None:
        """A layer makes this axis."""
        if layer.parameter is not None:
            self.notes.births.append(Side(layer.parameter, ids))

    def read(self, layer: Value, ids: Ids) -> None:
        """A layer reads along this axis of its parameter."""
        if layer.parameter is not None:
            self.notes.reads.append(Side(layer.parameter, ids))

    def factor(self, ids: Ids, axes: Sequence[Ids]) -> None:
        """An axis falls into several, the last of which runs fastest."""
        self.numbers.factor(ids.reshape([len(axis) for axis in axes]), axes, self.where)


Rule = Callable[[Call], list[Value]]


def is_users(path: str) -> bool:
    """Whether a file is neither torch's nor made by Python itself."""
    return not any(part in path for part in _TORCH)


def place(trace: str | None) -> str:
    """`file.py:12` of the user's innermost line in a stack trace; empty where there is none."""
    lines = [line.strip() for line in (trace or "").splitlines() if line.strip().startswith('File "')]
    own = [line for line in lines if is_users(line.split('"')[1])]
    for line in reversed(own or lines):
        path, _, rest = line.removeprefix('File "').partition('"')
        return f"{path.rpartition('/')[2]}:{rest.removeprefix(', line ').partition(',')[0]}"
    return ""
