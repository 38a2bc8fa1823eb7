"""Residual blocks of any module, found in the graph: what they give is what they took, with something added to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn import untraceable
from edgebuild.nn.exporting import exported
from edgebuild.nn.operators import operator
from edgebuild.nn.restructure import swaps
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.spec.errors import UsageError, exhausted

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

    Example = tuple[Tensor, ...]

# What leads from a block's input to its output beside the sums: value by value, with no weights.
_PASSING = {
    *("add", "add_", "relu", "relu_", "dropout", "clone", "contiguous", "alias", "relu6", "hardtanh", "clamp_min"),
    *("gelu", "silu", "hardswish", "leaky_relu"),
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near what a block gives is to what it takes, as a mean over examples: 1 where it does nothing."""

    cosine: float
    cka: float


def residual(module: nn.Module, example: Example, keep: Iterable[nn.Module] = ()) -> list[str]:
    """The names of the innermost modules that add something to their one input, in order of execution.

    Each has one name, runs once and gives what it takes in the same shape, so that it can be left out. UsageError for
    a module that cannot be exported.
    """
    inside, weights = _inside(module, example)
    kept, names = {id(part) for part in keep}, _single(module)
    adding = [path for path, nodes in inside.items() if path in names and _adds(nodes, weights)]
    inner = [path for path in adding if not any(other.startswith(f"{path}.") for other in adding)]
    return [path for path in inner if id(module.get_submodule(path)) not in kept]


def _inside(module: nn.Module, example: Example) -> tuple[dict[str, list[fx.Node]], set[fx.Node]]:
    """The nodes of each sub-module, by its name, in order of execution; and those that hold weights."""
    try:
        program = exported(module, example)
    except Exception as error:  # models that cannot be exported fail in many ways
        if exhausted(error):
            raise
        reason, hint = untraceable.why(error)
        hint = "; ".join(filter(None, (hint, "or leave the step out")))
        raise UsageError(f"the model cannot be traced: {reason}", hint=hint) from None
    inside: dict[str, list[fx.Node]] = defaultdict(list)
    for node in program.graph.nodes:
        for path, _ in (node.meta.get("nn_module_stack") or {}).values():
            if path and node.op == "call_function":
                inside[path].append(node)
    inputs = {*program.graph_signature.user_inputs}
    weights = {node for node in program.graph.find_nodes(op="placeholder") if node.name not in inputs}
    return inside, weights


def _single(module: nn.Module) -> set[str]:
    """Names of sub-modules that have no other name."""
    names: dict[int, list[str]] = defaultdict(list)
    for name, part in module.named_modules(remove_duplicate=False):
        names[id(part)].append(name)
    return {of[0] for of in names.values() if len(of) == 1 and of[0]}


def _adds(nodes: list[fx.Node], weights: set[fx.Node]) -> bool:
    """Whether these compute one value from one, of the same shape, and a sum has that one as it came in it."""
    within = {*nodes}
    read = {arg for node in nodes for arg in node.all_input_nodes if arg not in within}
    taken = read - weights
    returned = [node for node in nodes if any(user not in within for user in node.users)]
    if len(taken) != 1 or len(returned) != 1 or not read & weights:
        return False
    (first,), (last,) = taken, returned
    return _shape(first) == _shape(last) is not None and _passes(last, first, within) and _sums(nodes)


def _sums(nodes: list[fx.Node]) -> bool:
    return any(operator(node) in ("add", "add_") for node in nodes)


def _shape(node: fx.Node) -> Any:
    from torch import Tensor

    value: Any = node.meta.get("val")
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _passes(node: fx.Node, first: fx.Node, within: set[fx.Node]) -> bool:
    """Whether `first` reaches a node by sums and by what works value by value."""
    waiting, seen = [node], set()
    while waiting:
        now = waiting.pop()
        if now is first:
            return True
        if now not in seen and now in within and operator(now) in _PASSING:
            seen.add(now)
            waiting += now.all_input_nodes
    return False


def without(module: nn.Module, paths: Iterable[str]) -> tuple[nn.Module, tuple[Swap, ...]]:
    """A copy of the module in which nothing stands where these blocks stood."""
    parts = {path: Swap(path, "nothing") for path in paths}
    return swaps.exchanged(module, parts), tuple(parts.values())


def agreements(
    module: nn.Module,
    paths: Iterable[str],
    batches: Iterable[tuple[Tensor, ...]],
    tell: Callable[[], None] = lambda: None,
) -> dict[str, Agreement]:
    """How near input and output of each block are over the examples, in eval mode.

    Cosine of the two as vectors, a mean over examples (Men et al. 2024, ShortGPT: one minus it is a block's
    influence). Linear CKA of the channels at all places (Kornblith et al. 2019, eq. 3), from centred products.
    """
    import torch

    sums = {path: _Sums() for path in paths}
    hooks = [module.get_submodule(path).register_forward_hook(one.see) for path, one in sums.items()]
    try:
        with torch.no_grad():
            for inputs in batches:
                module.eval()(*inputs)
                tell()
    finally:
        for hook in hooks:
            hook.remove()
    return {path: Agreement(one.cosine(), one.cka()) for path, one in sums.items()}


class _Sums:
    """What is added up while examples go through a block."""

    def __init__(self) -> None:
        self._cosines: list[Tensor] = []
        self._count = 0
        self._means: list[Any] = [0, 0]
        self._products: dict[str, Any] = dict.fromkeys(("xx", "yy", "xy"), 0)

    def see(self, _: nn.Module, taken: Any, returned: Any) -> None:
        from torch.nn import functional

        x, y = taken[0].double(), returned.double()
        self._cosines.append(functional.cosine_similarity(x.flatten(1), y.flatten(1)))
        rows = [_rows(x), _rows(y)]
        self._count += len(rows[0])
        self._means = [mean + values.sum(0) for mean, values in zip(self._means, rows, strict=True)]
        for name, pair in (("xx", (0, 0)), ("yy", (1, 1)), ("xy", (0, 1))):
            self._products[name] = self._products[name] + rows[pair[0]].T @ rows[pair[1]]

    def cosine(self) -> float:
        import torch

        return float(torch.cat(self._cosines).mean())

    def cka(self) -> float:
        x, y = (mean / self._count for mean in self._means)
        centred = {
            name: self._products[name] - self._count * one[:, None] * other[None]
            for name, one, other in (("xx", x, x), ("yy", y, y), ("xy", x, y))
        }
        norm = centred["xx"].norm() * centred["yy"].norm()
        return float(centred["xy"].norm() ** 2 / norm) if norm else 0.0


def _rows(values: Tensor) -> Tensor:
    """One row a place, one column a channel: pictures have theirs on axis 1, sequences on the last."""
    return values.movedim(1, -1).flatten(0, -2) if values.ndim == 4 else values.flatten(0, -2)
