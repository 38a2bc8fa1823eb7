"""A network cut in two behind one of its modules: the first half with an exit that answers early, and the rest.

What crosses is one tensor, flat, so that it lies the same way in every format.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgebuild.nn import checkpoint
from edgebuild.nn.graph import is_float, trace
from edgebuild.nn.lift import lifted
from edgebuild.nn.operators import operator
from edgebuild.nn.prune.work import layer_work
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    from torch import fx, nn

    from edgebuild.nn.checkpoint import Checkpoint

Half = Literal["exit", "rest"]
FILE, MEMBER = "exits.json", "member"  # in the code of either half
FEATURES, HEAD = "features", "exit_head"
_EARLY = 1 / 2  # of the multiplications, before an exit that nobody has placed


@dataclass(frozen=True, slots=True)
class Exit:
    """Behind which module it stands, over how many places along each axis it looks, and how many classes it tells."""

    after: str
    grid: int
    classes: int


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The graph of a network, the module that it is cut behind, and the node whose value is all that the rest needs,
    of this shape without the batch.
    """

    graph: fx.GraphModule
    after: str
    node: fx.Node
    shape: tuple[int, ...]

    @classmethod
    def of(cls, model: Checkpoint, after: str = "") -> Cut:
        """Behind the module named, or the last one with at most half of the multiplications before its end.

        UsageError for a module that is not there, and where the rest needs more than what it gives.
        """
        graph = trace(model.module, model.inputs)
        return cls._at(graph, after) if after else cls._early(graph, model)

    @classmethod
    def _at(cls, graph: fx.GraphModule, after: str) -> Cut:
        node = _end(graph, after)
        behind = _behind(node)
        for needed in (one for other in behind for one in other.all_input_nodes):
            if needed is not node and needed.op != "get_attr" and not _is_batch(needed) and needed not in behind:
                reason = f"what follows {after!r} needs {needed.name!r} too, from before it"
                raise UsageError(reason, option="after", hint="name the module around both, or one further on")
        return cls(graph, after, node, tuple(map(int, node.meta["val"].shape[1:])))

    @classmethod
    def _early(cls, graph: fx.GraphModule, model: Checkpoint) -> Cut:
        work = {one.parameter: one.shape.macs for one in layer_work(model.module, model.example())}
        whole, cuts = sum(work.values()), dict[str, tuple[float, Cut]]()
        for path in dict.fromkeys(path for node in graph.graph.nodes for path in _paths(node) if path):
            with suppress(UsageError):
                cut = cls._at(graph, path)
                before = sum(work.get(str(node.target), 0) for node in _before(cut.node) if node.op == "get_attr")
                cuts[path] = (before / max(whole, 1), cut)
        cuts = {path: one for path, one in cuts.items() if one[0] > 0}
        if not cuts:
            reason = "the model has no module whose answer alone goes on to the rest"
            raise UsageError(reason, option="after", hint="leave the exit out")
        early = [one for one in cuts.values() if one[0] <= _EARLY]
        return max(early, key=_share_of)[1] if early else min(cuts.values(), key=_share_of)[1]

    @property
    def features(self) -> TensorSpec:
        """What crosses."""
        return TensorSpec(FEATURES, (prod(self.shape),))

    def first(self, head: nn.Module) -> nn.Module:
        """[N, …] of the network → what the head answers, and the features [N, F]."""
        from torch import fx, nn, ops

        graph, placed = fx.Graph(), dict[fx.Node, fx.Node]()
        needed = _before(self.node)
        for node in self.graph.graph.nodes:
            if node in needed or node.op == "placeholder":
                placed[node] = graph.node_copy(node, placed.__getitem__)
        root = nn.Module()
        _share(self.graph, needed, root)
        root.add_module(HEAD, head)
        answer = graph.call_module(HEAD, (placed[self.node],))
        flat = graph.call_function(ops.aten.flatten.using_ints, (placed[self.node], 1))
        graph.output((answer, flat))
        return lifted.written(root, graph)

    def rest(self) -> nn.Module:
        """Features [N, F] → what the network answers."""
        from torch import fx, nn, ops

        graph = fx.Graph()
        flat = graph.placeholder(FEATURES)
        entry = graph.call_function(ops.aten.reshape.default, (flat, [-1, *self.shape]))
        batch = graph.call_function(ops.aten.sym_size.int, (flat, 0))
        placed, behind = {self.node: entry}, _behind(self.node)
        needed = {one for node in behind for one in node.all_input_nodes} | {*behind}
        for node in self.graph.graph.nodes:
            if node is self.node or node not in needed:
                continue
            if _is_batch(node) and node not in behind:
                placed[node] = batch
            elif node.op == "output":  # a tuple, whatever the module's own code answers
                answers = tuple(placed[one] for one in node.args[0])
                graph.output(answers[0] if len(answers) == 1 else answers)
            else:
                placed[node] = graph.node_copy(node, placed.__getitem__)
        root = nn.Module()
        _share(self.graph, needed, root)
        graph.eliminate_dead_code()
        return lifted.written(root, graph)


def _share_of(one: tuple[float, Cut]) -> float:
    return one[0]


def head(shape: tuple[int, ...], how: Exit) -> nn.Module:
    """An exit's head for features of this shape: means over a grid of places, and a linear layer on all of them."""
    from torch import nn

    pool = pooled(shape, how.grid)
    return nn.Sequential(pool, nn.Linear(_width(shape, how.grid), how.classes))


def pooled(shape: tuple[int, ...], grid: int) -> nn.Module:
    """Features [N, C, …places] as the means of at least `grid` windows along each axis of places, flat.

    Features without places stay as they are. The means are a depthwise convolution: TensorFlow Lite's delegate has no
    pool in 8 bits, and where it must hand over only layers are quantized (a third more time, on digits).
    """
    from torch import nn

    kinds: dict[int, Any] = {2: nn.Conv1d, 3: nn.Conv2d}
    windows = _windows(shape, grid)
    if len(shape) == 4:  # a convolution over volumes has no kernel by channel
        return nn.Sequential(nn.AvgPool3d(windows), nn.Flatten())  # type: ignore[arg-type]
    if len(shape) not in kinds or max(windows) == 1:
        return nn.Flatten()
    means = kinds[len(shape)](shape[0], shape[0], windows, windows, groups=shape[0], bias=False).requires_grad_(False)
    nn.init.constant_(means.weight, 1 / prod(windows))
    return nn.Sequential(means, nn.Flatten())


def _windows(shape: tuple[int, ...], grid: int) -> tuple[int, ...]:
    return tuple(max(1, size // grid) for size in shape[1:])


def _width(shape: tuple[int, ...], grid: int) -> int:
    if not 1 < len(shape) < 5:
        return prod(shape)
    return shape[0] * prod(size // window for size, window in zip(shape[1:], _windows(shape, grid), strict=True))


def write(how: Exit, folder: Path) -> None:
    """Keep it where `build` finds it; the artifact of the network goes beside it."""
    (folder / FILE).write_text(json.dumps(asdict(how), indent=1, sort_keys=True) + "\n")


def build(folder: Path, half: Half) -> nn.Module:
    """A half with the weights of the network; the head's are to be filled."""
    how = Exit(**json.loads((folder / FILE).read_text()))
    cut = Cut.of(checkpoint.load(folder / MEMBER), how.after)
    return cut.first(head(cut.shape, how)) if half == "exit" else cut.rest()


def _end(graph: fx.GraphModule, after: str) -> fx.Node:
    """The one node in the module that others behind it take; UsageError where there is none, or several."""
    inside = [node for node in graph.graph.nodes if _is_in(node, after)]
    ends = [node for node in inside if any(user.op == "output" or not _is_in(user, after) for user in node.users)]
    if not inside:
        known = dict.fromkeys(path for node in graph.graph.nodes for path in _paths(node) if path)
        raise UsageError(f"the model runs no module {after!r}", option="after", hint=f"it runs {', '.join(known)}")
    if len(ends) != 1 or not is_float(ends[0]) or any(user.op == "output" for user in ends[0].users):
        reason = f"{after!r} does not give one tensor that the model goes on with"
        raise UsageError(reason, option="after", hint="name a module that gives features")
    end: fx.Node = ends[0]
    return end


def _paths(node: fx.Node) -> list[str]:
    """The modules that a node is in, from the outermost in."""
    stack: dict[str, tuple[str, Any]] = node.meta.get("nn_module_stack", {}) if node.op == "call_function" else {}
    return [path.removeprefix("L['self'].").partition("@")[0] for path, _ in stack.values()]


def _is_in(node: fx.Node, path: str) -> bool:
    return path in _paths(node)


def _behind(node: fx.Node) -> dict[fx.Node, None]:
    """All that its value goes into, in no order."""
    reached: dict[fx.Node, None] = {}
    rest = [*node.users]
    while rest:
        one = rest.pop()
        if one not in reached:
            reached[one] = None
            rest += one.users
    return reached


def _before(node: fx.Node) -> dict[fx.Node, None]:
    """All that its value comes from, and itself."""
    reached: dict[fx.Node, None] = {}
    rest = [node]
    while rest:
        one = rest.pop()
        if one not in reached:
            reached[one] = None
            rest += one.all_input_nodes
    return reached


def _is_batch(node: fx.Node) -> bool:
    """Whether it is the number of examples, of one of the inputs."""
    return bool(operator(node) == "sym_size" and node.args[1] == 0 and node.all_input_nodes[0].op == "placeholder")


def _share(graph: fx.GraphModule, nodes: Iterable[fx.Node], root: nn.Module) -> None:
    """Give `root` the parameters and buffers that nodes name, under their own names."""
    from torch import nn

    for node in nodes:
        if node.op != "get_attr":
            continue
        path, _, leaf = str(node.target).rpartition(".")
        owner, source = root, graph.get_submodule(path)
        for name in path.split(".") if path else ():
            if name not in owner._modules:
                owner.add_module(name, lifted.folder())
            owner = owner.get_submodule(name)
        value = getattr(source, leaf)
        if isinstance(value, nn.Parameter):
            owner.register_parameter(leaf, value)
        else:
            owner.register_buffer(leaf, value, persistent=leaf in source.state_dict())
