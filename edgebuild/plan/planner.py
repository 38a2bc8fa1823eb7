"""Turns targets and models into the graph of a build; an impossible recipe fails here, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebuild.engine.graph import Graph
from edgebuild.engine.store import Store
from edgebuild.plan import preflight
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.measuring import Measuring
from edgebuild.plan.recipe import Recipes
from edgebuild.plan.shipping import bundle_node
from edgebuild.plan.weights import Weights
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.names import suggest
from edgebuild.spec.target import Target


@dataclass(frozen=True, slots=True)
class Product:
    """What a build makes for one model on one target: ids of the nodes with the verdicts and with the bundle."""

    target: str
    model: str
    verdicts: str
    bundle: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The graph of a build and what it makes; `notices` tell what the user should know before it runs."""

    graph: Graph
    products: tuple[Product, ...]
    notices: tuple[str, ...]


def make(store: Store, targets: Sequence[Target], models: Sequence[ModelSpec], known: Sequence[str]) -> Plan:
    """The plan for every model on every target; `known` names all targets there are.

    The models' own files are copied into the store, so that a build sees them as they are now. Raises UsageError
    for what cannot be built and DeviceError where no device can measure.
    """
    graph = Graph()
    for model in models:
        _check_budgets(model, known)
    weights = {model.name: Weights.plan(graph, store, model) for model in models}
    products, notices = [], []
    for target in targets:
        instruments = Instruments(target)
        products += [_product(graph, target, model, weights[model.name], instruments) for model in models]
        notices += instruments.notices
    return Plan(graph, tuple(products), tuple(notices))


def _product(graph: Graph, target: Target, model: ModelSpec, weights: Weights, instruments: Instruments) -> Product:
    prefix = f"{target.name}/{model.name}"
    recipes = Recipes(graph, target, model, weights, prefix)
    measuring = Measuring(graph, target, model, weights, instruments, prefix)
    chains = [recipes.chain(runtime) for runtime in target.runtimes]
    preflight.add(graph, target, weights, instruments, prefix)
    verdicts = measuring.judge(chains)
    bundle = graph.add(f"{prefix}/bundle", bundle_node(target, model, weights, chains, measuring))
    return Product(target.name, model.name, verdicts, bundle)


def _check_budgets(model: ModelSpec, known: Sequence[str]) -> None:
    for name in model.declared.budgets:
        if name not in known:
            raise UsageError(f"unknown target {name!r}", file=model.file, key="budgets", hint=suggest(name, known))
