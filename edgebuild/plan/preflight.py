"""Plans the trial of an untrained model on the target's runtime, ahead of any training."""

from __future__ import annotations

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.weights import Weights
from edgebuild.spec.registry import FORMATS, rewriting
from edgebuild.spec.target import Target
from edgebuild.steps.convert import Convert
from edgebuild.steps.evidence.preflight import Preflight


def add(graph: Graph, target: Target, weights: Weights, instruments: Instruments, prefix: str) -> None:
    """Let every training wait until the untrained model has run once in each of the target's formats."""
    if weights.untrained is None:
        return
    instrument = instruments.best("outputs")
    for runtime in target.runtimes:
        kind = FORMATS.get(runtime.format)
        converted = Node(
            Convert(runtime.format, runtime.layout),
            {"model": weights.untrained},
            runtime.format,
            code=(FORMATS.module(runtime.format), *rewriting(runtime.format)),
            tools=kind.tools,
        )
        label = f"{prefix}/{runtime.format}/preflight"
        tried = Node(
            Preflight(instrument.device, runtime.threads),
            {"model": graph.add(f"{label}-convert", converted), "data": weights.data},
            "evidence",
            code=instrument.code(runtime.format),
            tools=(kind.runtime,),
            facts=instrument.arithmetic,
        )
        for trained in weights.trained:
            graph.follow(trained, graph.add(label, tried))
