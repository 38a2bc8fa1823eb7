"""Plans the bundle: what goes into it and what its manifest records."""

from __future__ import annotations

from collections.abc import Mapping

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
    inputs = {f"candidate/{chain.runtime.format}": chain.candidate for chain in chains}
    inputs |= {f"baseline/{chain.runtime.format}": chain.baseline for chain in chains}
    inputs |= {f"answers/{chain.runtime.format}": measuring.answers(chain) for chain in chains}
    runtimes, signature = tuple(chain.runtime for chain in chains), model.declared.signature
    assemblies = tuple(Assembly.of_one(FORMATS.get(r.format).file, r, signature) for r in runtimes)
    return node_of(target, model, weights, assemblies, inputs, measuring, dropped)


def node_of(
    target: Target,
    model: ModelSpec,
    weights: Weights,
    assemblies: tuple[Assembly, ...],
    files: Mapping[str, str],
    measuring: Measuring,
    dropped: tuple[str, ...] = (),
) -> Node:
    """The node that assembles a bundle: `files` by role, all evidence, and all that travels with them."""
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
        ram=target.hardware.ram,
        socs=target.hardware.socs,
    )
    inputs = dict(files) | {f"evidence/{role.replace('/', '-')}": item for role, item in measuring.evidence.items()}
    inputs |= {"data": weights.data, "verdicts": measuring.evidence["verdicts"]}
    names = dict.fromkeys(part.runtime.format for assembly in assemblies for part in assembly.parts)
    formats = {name: FORMATS.get(name) for name in names}
    packages = {name: distributions(kind) for name, kind in formats.items()}
    of_bundle = travels.bundled(declared.preprocess.kind if declared.preprocess else None)
    travelling = [*map(travels.file, (*of_bundle, travels.DECODER)), *map(model_file.loader, formats.values())]
    routers = dict.fromkeys(name for assembly in assemblies for name in assembly.travelling)
    payload = [*sorted(PAYLOAD.glob("*.*")), *travelling, *map(model_file.module, routers)]
    return Node(
        Assemble(subject, assemblies, packages, measuring.fingerprints(), dropped),
        inputs,
        "bundle",
        code=(*map(FORMATS.module, formats), *task_code(model)),
        tools=tuple(name for names in packages.values() for name in names),
        facts={f"payload.{path.name}": sha256.of_file(path) for path in payload},
        records=True,
    )


def distributions(kind: type[Format]) -> tuple[str, ...]:
    """What a device must have to execute files of this format."""
    return (kind.runtime, *kind.runtime_needs)
