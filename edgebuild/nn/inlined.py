"""Regions of a graph that stand apart (`with torch.no_grad():`, `torch.autocast`), put where they are called.

torch.export keeps what such a block computes in a graph of its own within the graph. What looks at operators, to
rewrite or to follow them, would see none of these.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import fx
    from torch.export import ExportedProgram


def inlined(program: ExportedProgram) -> ExportedProgram:
    """The program, changed in place; without a block of either kind it stays as it is.

    Gradients are nothing that a graph in evaluation has. An autocast that is on for the processor computes in another
    type, and stays.
    """
    while calls := [node for node in program.graph.nodes if _region(node)]:
        for call in calls:
            _put(program, call)
    program.graph.eliminate_dead_code(lambda node: node.op != "get_attr")
    program.graph_module.recompile()
    return program


def _region(node: fx.Node) -> int:
    """Where the graph of a region stands among the arguments of its call; 0 for all other nodes."""
    name = getattr(node.target, "__name__", "")
    if node.op != "call_function" or name not in ("wrap_with_set_grad_enabled", "wrap_with_autocast"):
        return 0
    if name == "wrap_with_set_grad_enabled":
        return 1
    device, _, enabled = node.args[:3]
    return 0 if enabled and device == "cpu" else 4


def _put(program: ExportedProgram, call: fx.Node) -> None:
    """Copies the nodes of a region before its call, and takes the call away."""
    place, whole = _region(call), program.graph_module
    named: Any = call.args[place]
    region = whole.get_submodule(named.target)
    inner: fx.Graph = region.graph
    taken = dict(zip(inner.find_nodes(op="placeholder"), call.args[place + 1 :], strict=True))
    with program.graph.inserting_before(call):
        for node in inner.nodes:
            if node.op not in ("placeholder", "output"):
                taken[node] = program.graph.node_copy(node, lambda one: taken[one])
                if node.op == "get_attr":
                    taken[node].target = _moved(whole, getattr(region, node.target))
    answers: Any = inner.output_node().args[0]
    for user in [*call.users]:
        assert user.target is operator.getitem
        _instead(program, user, taken[answers[user.args[1]]])
    program.graph.erase_node(call)


def _instead(program: ExportedProgram, old: fx.Node, new: Any) -> None:
    old.replace_all_uses_with(new)
    program.graph_signature.replace_all_uses(old.name, new.name)
    program.graph.erase_node(old)


def _moved(whole: fx.GraphModule, value: Any) -> str:
    """The name under which the whole has what a region had as its own."""
    name = next(name for number in range(2**20) if not hasattr(whole, name := f"region_{number}"))
    setattr(whole, name, value)
    return name
