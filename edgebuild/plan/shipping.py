"""Plans the bundle: what goes into it and what its manifest records."""

from __future__ import annotations

from edgebuild import travels
from edgebuild.bundle.assemble import Assemble
from edgebuild.bundle.card import PAYLOAD
from edgebuild.bundle.facts import Subject
from edgebuild.engine.graph import Node
from edgebuild.plan.measuring import Measuring
from edgebuild.plan.recipe import Chain, Without
from edgebuild.plan.weights import Weights, task_code
from edgebuild.spec import model_file, sha256
from edgebuild.spec.assembly import Assembly
from edgebuild.spec.format import Format
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
        signature=declared.signature,
        heads=declared.heads,
        preprocess=declared.preprocess,
        sample=declared.sample,
    )
    inputs = {f"candidate/{chain.runtime.format}": chain.candidate for chain in chains}
    inputs |= {f"baseline/{chain.runtime.format}": chain.baseline for chain in chains}
    inputs |= {f"answers/{chain.runtime.format}": measuring.answers(chain) for chain in chains}
    inputs |= {f"evidence/{role.replace('/', '-')}": item for role, item in measuring.evidence.items()}
    inputs |= {"data": weights.data, "verdicts": measuring.evidence["verdicts"]}
    runtimes = tuple(chain.runtime for chain in chains)
    formats = {runtime.format: FORMATS.get(runtime.format) for runtime in runtimes}
    packages = {name: distributions(kind) for name, kind in formats.items()}
    assemblies = tuple(Assembly.of_one(formats[r.format].file, r, declared.signature) for r in runtimes)
    of_bundle = travels.bundled(declared.preprocess.kind if declared.preprocess else None)
    travelling = map(travels.file, (*of_bundle, travels.DECODER))
    payload = [*sorted(PAYLOAD.glob("*.*")), *travelling, *map(model_file.loader, formats.values())]
    return Node(
        Assemble(subject, assemblies, packages, measuring.fingerprints(), dropped),
        inputs,
        "bundle",
        code=(*(FORMATS.module(runtime.format) for runtime in runtimes), *task_code(model)),
        tools=tuple(name for names in packages.values() for name in names),
        facts={f"payload.{path.name}": sha256.of_file(path) for path in payload},
        records=True,
    )


def distributions(kind: type[Format]) -> tuple[str, ...]:
    """What a device must have to execute files of this format."""
    return (kind.runtime, *kind.runtime_needs)
