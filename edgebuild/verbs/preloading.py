"""What workers are forked with: what takes long to import, and steps that are to run need."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from edgebuild.engine import worker
from edgebuild.engine.graph import Graph
from edgebuild.engine.store import Store
from edgebuild.spec.registry import FORMATS, STEPS
from edgebuild.spec.surroundings import QUIET

# Imported once by the server that steps are forked from, with what formats name. Only what is safe to fork: no thread
# may be running.
_ALWAYS = ("numpy",)
_MODULE = "torch"  # the kind of artifact that is a module
# PyTorch imports the second where it is asked to be deterministic, as every training is, which takes as long as itself;
# the third where a module is exported, as pruning and every conversion do.
_TORCH = (
    *("torch", "torch._inductor.config", "torch.export._trace"),
    *("edgebuild.nn.checkpoint", "edgebuild.nn.train.training"),
)
USUAL = (*_ALWAYS, *_TORCH)  # where it is not known which steps will run


def preload(graph: Graph, store: Store, names: Collection[str], least: int) -> None:
    """Have workers forked with what these nodes need, which may have to run; before the first of them does.

    `least`: how many new steps must work with a format for what takes it longest to be imported ahead.
    """
    ready((*_ALWAYS, *_frameworks(graph, names), *_exporters(graph, store, names, least), *_steps(graph, names)))


def preload_all() -> None:
    """Have workers forked with what steps of any kind need: where it is not known which will run, and many will."""
    exporters = (module for kind in FORMATS.usable().values() for module in kind.preloads)
    techniques = (kind.__module__ for kind in STEPS.usable().values())
    ready((*USUAL, *exporters, "edgebuild.plan.planner", *filter(_ours, techniques)))


def preload_reader(kind: str) -> None:
    """Have processes forked with what takes longest of what artifacts of this kind are opened with."""
    ready((*_ALWAYS, *(("torch",) if kind == _MODULE else ())))


def ready(modules: Collection[str]) -> None:
    """Have workers forked from a server that has imported these modules."""
    os.environ.update(QUIET)  # workers inherit it
    worker.preload(modules)


def _steps(graph: Graph, names: Collection[str]) -> tuple[str, ...]:
    """The modules of our own steps, with all that says what a step is: workers took most of their time to import it."""
    return tuple(sorted({*filter(_ours, (type(graph.nodes[name].step).__module__ for name in names))}))


def _ours(module: str) -> bool:
    return module.startswith("edgebuild.")


def _frameworks(graph: Graph, names: Collection[str]) -> tuple[str, ...]:
    """PyTorch, unless no step that may run has its version in its key: it takes three seconds."""
    tools = {tool for name in names for tool in (*graph.nodes[name].step.tools, *graph.nodes[name].tools)}
    return _TORCH if "torch" in tools else ()


def _exporters(graph: Graph, store: Store, names: Collection[str], least: int) -> Iterator[str]:
    """What formats are forked with where several new steps work with them; for one it would only be in the way."""
    tools = [graph.nodes[name].tools for name in names if store.last(graph.label(name)) is None]
    for kind in FORMATS.usable().values():
        if sum({*kind.tools} <= {*each} for each in tools) >= least:
            yield from kind.preloads
