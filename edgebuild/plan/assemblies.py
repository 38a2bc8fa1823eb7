"""Plans what a model made of parts becomes: several models behind a rule, or one that is cut in two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan.assembling import Assembled, Assembling
from edgebuild.plan.deployed import by_role
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.joining import joining_of
from edgebuild.plan.product import Product
from edgebuild.plan.shipping import node_of
from edgebuild.plan.splitting import EDGE, SERVER, Halves, Splitting
from edgebuild.plan.weights import Weights
from edgebuild.spec.assembly import Assembly, Part
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Signature
from edgebuild.spec.target import Gate, Target


def assembly(
    graph: Graph,
    target: Target,
    model: ModelSpec,
    weights: Mapping[str, Weights],
    instruments: Instruments,
    gates: tuple[Gate, ...],
) -> Product:
    """Add the nodes of a model made of parts to the graph, those of its parts, of the whole and of its bundle.

    `weights` by the names of the model and of its parts. UsageError for parts that do not fit together.
    """
    prefix = f"{target.name}/{model.name}"
    if joining_of(model).cuts:
        splitting = Splitting(graph, target, model, weights, instruments, prefix, gates)
        halves, verdicts = splitting.judge()
        bundle = graph.add(f"{prefix}/bundle", _split_node(target, model, weights[model.name], halves, splitting))
        return Product(target.name, model.name, verdicts, bundle, (), target.recipe)
    assembling = Assembling(graph, target, model, weights, instruments, prefix, gates)
    wholes, verdicts = assembling.judge()
    node = _whole_node(target, model, weights[model.name], wholes, assembling)
    bundle = graph.add(f"{prefix}/bundle", node)
    return Product(target.name, model.name, verdicts, bundle, (), target.recipe)


def _whole_node(
    target: Target, model: ModelSpec, weights: Weights, wholes: Sequence[Assembled], assembling: Assembling
) -> Node:
    """The node that bundles an assembly: a file of each part, and what decides which of them answer."""
    signature, router = model.declared.signature, assembling.joining.router
    inputs, assemblies = dict[str, str](), []
    for whole in wholes:
        name, file = whole.runtime.format, Path(FORMATS.get(whole.runtime.format).file)
        inputs |= by_role(f"candidate/{name}", whole.deployed)
        inputs |= {
            f"baseline/{name}": whole.whole.baseline,
            f"rule/{name}": whole.deployed.rule,
            f"answers/{name}": assembling.measuring.answers(whole.pair),
        }
        parts = tuple(
            Part(part.spec.name, f"{part.spec.name}{file.suffix}", whole.runtime, part.signature or signature)
            for part in whole.parts
        )
        assemblies.append(Assembly.of_alike(parts, signature, router, assembling.joining.brings()))
    return node_of(target, model, weights, tuple(assemblies), inputs, assembling.measuring)


def _split_node(target: Target, model: ModelSpec, weights: Weights, halves: Halves, splitting: Splitting) -> Node:
    """The same for a model that is cut in two; each half takes or gives what crosses, which the router carries."""
    signature, runtime = model.declared.signature, halves.chain.runtime
    suffix, name = Path(FORMATS.get(runtime.format).file).suffix, runtime.format
    inputs = {f"candidate/{name}/{part}": item for part, item in halves.files.items()}
    inputs |= {f"candidate/{name}": halves.chain.candidate}  # by its digest a gate finds the whole again
    inputs |= {f"baseline/{name}": halves.chain.baseline, f"rule/{name}": halves.rule}
    inputs |= {f"answers/{name}": splitting.measuring.answers(halves.chain)}
    signatures = {EDGE: Signature(signature.inputs, ()), SERVER: Signature((), signature.outputs)}
    parts = [Part(part, f"{part}{suffix}", runtime, signatures.get(part, signature)) for part in halves.files]
    assembly = Assembly.of_alike(tuple(parts), signature, splitting.joining.router, splitting.joining.brings())
    return node_of(target, model, weights, (assembly,), inputs, splitting.measuring)
