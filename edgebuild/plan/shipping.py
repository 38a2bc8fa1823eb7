"""Plans the bundle: what goes into it and what its manifest records."""

from __future__ import annotations

from edgebuild import travels
from edgebuild.bundle.assemble import Assemble
from edgebuild.bundle.card import PAYLOAD
from edgebuild.bundle.facts import Subject
from edgebuild.engine import digests
from edgebuild.engine.graph import Node
from edgebuild.plan.measuring import Measuring
from edgebuild.plan.recipe import Chain, Without
from edgebuild.plan.weights import Weights
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Target


def bundle_node(
    target: Target, model: ModelSpec, weights: Weights, chains: list[Chain], measuring: Measuring, without: Without
) -> Node:
    """The node that assembles the bundle out of the files to choose from and all evidence."""
    lines = target.recipe.steps
    dropped = tuple(f"{format_}: {lines[number].use} ({lines[number].key})" for format_, number in sorted(without))
    declared = model.declared
    subject = Subject(
        target=target.name,
        target_description=target.description,
        cpu=target.hardware.cpu,
        model=model.name,
        model_description=declared.description,
        labels=declared.labels,
        inputs=declared.inputs,
        preprocess=declared.preprocess,
        sample=declared.sample,
        task=declared.task,
        outputs=declared.outputs,
    )
    inputs = {f"candidate/{chain.runtime.format}": chain.candidate for chain in chains}
    inputs |= {f"baseline/{chain.runtime.format}": chain.baseline for chain in chains}
    inputs |= {f"evidence/{role.replace('/', '-')}": item for role, item in measuring.evidence.items()}
    inputs |= {"data": weights.data, "verdicts": measuring.evidence["verdicts"]}
    runtimes = tuple(chain.runtime for chain in chains)
    formats = tuple(FORMATS.get(runtime.format) for runtime in runtimes)
    names = tuple(kind.file for kind in formats), tuple(kind.runtime for kind in formats)
    travelling = (travels.BUNDLE_RUNNER, travels.VALUES, travels.DECODER, *(travels.loader(r.format) for r in runtimes))
    payload = [*sorted(PAYLOAD.glob("*.*")), *map(travels.file, travelling)]
    return Node(
        Assemble(subject, runtimes, *names, measuring.fingerprints(), dropped),
        inputs,
        "bundle",
        tools=tuple(kind.runtime for kind in formats),
        facts={f"payload.{path.name}": digests.of_file(path) for path in payload},
        records=True,
    )
