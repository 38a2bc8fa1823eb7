"""Plans the bundle: what goes into it and what its manifest records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgebuild import travels
from edgebuild.bundle.assemble import Assemble
from edgebuild.bundle.card import PAYLOAD
from edgebuild.bundle.facts import Subject
from edgebuild.engine.graph import Node
from edgebuild.plan.assembling import Assembled, Assembling
from edgebuild.plan.measuring import Measuring
from edgebuild.plan.recipe import Chain, Without
from edgebuild.plan.splitting import EDGE, SERVER, Halves, Splitting
from edgebuild.plan.weights import Weights, task_code
from edgebuild.spec import model_file, sha256
from edgebuild.spec.assembly import Assembly, Part
from edgebuild.spec.format import Format
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Signature
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
    return _node(target, model, weights, assemblies, inputs, measuring, dropped)


def assembly_node(
    target: Target, model: ModelSpec, weights: Weights, wholes: Sequence[Assembled], assembling: Assembling
) -> Node:
    """The same for an assembly: a file of each part, and what decides which of them answer."""
    signature, router = model.declared.signature, assembling.joining.router
    inputs, assemblies = dict[str, str](), []
    for whole in wholes:
        name, file = whole.runtime.format, Path(FORMATS.get(whole.runtime.format).file)
        inputs |= {f"candidate/{name}/{part.spec.name}": part.chain.candidate for part in whole.parts}
        inputs |= {f"baseline/{name}": whole.whole.baseline, f"rule/{name}": whole.rule, f"answers/{name}": whole.runs}
        parts = tuple(
            Part(part.spec.name, f"{part.spec.name}{file.suffix}", whole.runtime, signature) for part in whole.parts
        )
        assemblies.append(Assembly.of_alike(parts, signature, router, assembling.joining.brings()))
    return _node(target, model, weights, tuple(assemblies), inputs, assembling.measuring)


def split_node(target: Target, model: ModelSpec, weights: Weights, halves: Halves, splitting: Splitting) -> Node:
    """The same for a model that is cut in two; each half takes or gives what crosses, which the router carries."""
    signature, runtime = model.declared.signature, halves.chain.runtime
    suffix, name = Path(FORMATS.get(runtime.format).file).suffix, runtime.format
    inputs = {f"candidate/{name}/{part}": item for part, item in halves.files.items()}
    inputs |= {f"baseline/{name}": halves.chain.baseline, f"rule/{name}": halves.rule}
    inputs |= {f"answers/{name}": splitting.measuring.answers(halves.chain)}
    signatures = {EDGE: Signature(signature.inputs, ()), SERVER: Signature((), signature.outputs)}
    parts = [Part(part, f"{part}{suffix}", runtime, signatures.get(part, signature)) for part in halves.files]
    assembly = Assembly.of_alike(tuple(parts), signature, splitting.joining.router, splitting.joining.brings())
    return _node(target, model, weights, (assembly,), inputs, splitting.measuring)


def _node(
    target: Target,
    model: ModelSpec,
    weights: Weights,
    assemblies: tuple[Assembly, ...],
    files: Mapping[str, str],
    measuring: Measuring,
    dropped: tuple[str, ...] = (),
) -> Node:
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
