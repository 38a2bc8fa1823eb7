"""Turns targets and models into the graph of a build; an impossible recipe fails here, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgebuild.bundle.kind import KINDS
from edgebuild.engine.graph import Graph
from edgebuild.engine.store import Store
from edgebuild.plan import enough, preflight, trust
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.limits import gates_of, regressions_of
from edgebuild.plan.measuring import Measuring
from edgebuild.plan.product import Product
from edgebuild.plan.recipe import RecipeError, Recipes, Without, reachable
from edgebuild.plan.shipping import bundle_node
from edgebuild.plan.weights import Weights
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.names import suggest
from edgebuild.spec.source import Source
from edgebuild.spec.target import Gate, Policy, Recipe, Target


@dataclass(frozen=True, slots=True)
class Plan:
    """The graph of a build and what it makes; `notices` tell what the user should know before it runs.

    `undecided` are steps that must have run before the plan is the last one: lifts that may be refused.
    """

    graph: Graph
    products: tuple[Product, ...]
    notices: tuple[str, ...]
    undecided: tuple[str, ...] = ()


def make(
    store: Store,
    targets: Sequence[Target],
    models: Sequence[ModelSpec],
    known: Sequence[str],
    policy: Policy,
    without: Mapping[tuple[str, str], Without] | None = None,
    recipes: Mapping[tuple[str, str], Recipe] | None = None,
) -> Plan:
    """The plan for every model on every target; `known` names all targets there are, `policy` what all must prove.

    `without` names the steps of the recipe that are left out for a target and a model, `recipes` those that take the
    place of the target's own for one model.

    The models' own files are copied into the store, so that a build sees them as they are now. Raises UsageError
    for what cannot be built, RecipeError where that is for its recipe, and DeviceError where no device can measure.
    """
    graph = Graph()
    for target in targets:
        _check_packages(target)
    for model in models:
        _check_budgets(model, known)
    every = {model.name: model for one in models for model in (one, *(part.model for part in one.parts))}
    weights = {name: Weights.plan(graph, store, model) for name, model in every.items()}
    products: list[Product] = []
    notices = [f"{name}: {item.refusal}: taken as a file" for name, item in weights.items() if item.refusal]
    boards: dict[str, str] = {}
    for target in targets:
        instruments, lacking = Instruments(target, boards=boards), dict[str, None]()
        for model in models:
            gates = gates_of(target, model, policy)
            if target.regressions:
                regressions_of(target, model, policy)  # wrong ones are refused now, not when a gate asks for them
            own = (recipes or {}).get((target.name, model.name), target.recipe)
            reached = replace(target, recipe=own)
            for part in (model, *(part.model for part in model.parts)):
                reached, unreached = reach(reached, part, weights[part.name].source)
                lacking |= dict.fromkeys(unreached)
            left_out = (without or {}).get((target.name, model.name), frozenset())
            try:
                products.append(_product(graph, reached, model, weights, instruments, gates, left_out))
            except RecipeError as error:
                error.place, error.recipe = (target.name, model.name), own
                raise
            notices += enough.notices(graph, store, target, model, gates, weights[model.name])
            lacking |= dict.fromkeys(trust.notices(instruments, gates))
        notices += [*instruments.notices, *lacking]
    graph.keep(
        item for product in products for item in (product.verdicts, product.bundle)
    )  # no idle teacher is trained
    undecided = tuple(item.undecided for item in weights.values() if item.undecided)
    return Plan(graph, tuple(products), tuple(dict.fromkeys(notices)), undecided)


def reach(target: Target, model: ModelSpec, source: Source) -> tuple[Target, list[str]]:
    """The target with those of its runtimes that the model can run on, and what to tell of the others.

    UsageError where there is none.
    """
    kept = reachable(source, target)
    others = [runtime.format for runtime in target.runtimes if runtime not in kept]
    reason = f"{model.name} comes as {source.kind}, and nothing makes {' or '.join(others)} of that"
    if not kept:
        raise UsageError(reason, file=target.file, key="runtimes", hint=source.instead)
    return replace(target, runtimes=kept), [f"{target.name}: {reason}: left out"] if others else []


def _product(
    graph: Graph,
    target: Target,
    model: ModelSpec,
    every: Mapping[str, Weights],
    instruments: Instruments,
    gates: tuple[Gate, ...],
    without: Without,
) -> Product:
    """`every` by the names of models and of their parts."""
    if model.declared.assembly is not None:
        from edgebuild.plan.assemblies import assembly  # a fifth of what planning imports, and few projects have one

        return assembly(graph, target, model, every, instruments, gates)
    weights = every[model.name]
    prefix = f"{target.name}/{model.name}"
    recipes = Recipes(graph, target, model, weights, prefix, without, instruments)
    measuring = Measuring(graph, target, model, weights.data, instruments, prefix, gates)
    chains = [recipes.chain(runtime) for runtime in target.runtimes]
    preflight.add(graph, target, weights, instruments, prefix)
    verdicts = measuring.judge(chains, weights)
    bundle = graph.add(f"{prefix}/bundle", bundle_node(target, model, weights, chains, measuring, without))
    return Product(target.name, model.name, verdicts, bundle, tuple(chains), target.recipe)


def _check_packages(target: Target) -> None:
    for number, name in enumerate(target.packages):
        KINDS.get(name, file=target.file, key=f"packages[{number}]")


def _check_budgets(model: ModelSpec, known: Sequence[str]) -> None:
    for name in model.declared.budgets:
        if name not in known:
            raise UsageError(f"unknown target {name!r}", file=model.file, key="budgets", hint=suggest(name, known))
