"""What is asked of a build, and the plan for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgebuild.engine.store import Store
from edgebuild.spec import documents
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import VERDICTS, Verdicts
from edgebuild.spec.project import Project
from edgebuild.verbs.searched import chosen

if TYPE_CHECKING:
    from edgebuild.engine.store import Action
    from edgebuild.plan.planner import Plan
    from edgebuild.plan.product import Product
    from edgebuild.plan.recipe import Without
    from edgebuild.spec.cache import Place


@dataclass(frozen=True, slots=True)
class Request:
    """What to build: names of targets, names of models (empty: all), how many steps side by side, and the name of a
    recipe in the place of the targets' own. `trial` is the number of one of the last search, for its recipe alone.
    `cache` is where results are shared with other machines, `cluster` the scheduler of some that run steps.
    """

    project: Project
    targets: tuple[str, ...]
    models: tuple[str, ...] = ()
    jobs: int = 2
    recipe: str | None = None
    trial: int | None = None
    cache: Place | None = None
    cluster: str | None = None


@contextmanager
def planned(request: Request, without: dict[tuple[str, str], Without] | None = None) -> Iterator[tuple[Store, Plan]]:
    """The open store and the plan for a request, less the steps of its recipes that are left out."""
    from edgebuild.plan import planner

    project = request.project
    targets = [project.target(name) for name in dict.fromkeys(request.targets)]
    if request.recipe is not None:
        recipe = project.recipe(request.recipe, key="--recipe")
        targets = [replace(target, recipe=recipe) for target in targets]
    policy = project.policy()
    models = project.models(request.models)
    if not models and (by_name := ", ".join(project.model_folders())):
        raise UsageError("what is here is built by name alone", key="--model", hint=by_name)
    if not models:
        raise UsageError("no model to build", file="models", hint="a model is a folder with a model.toml")
    store = Store(project.store)
    try:
        recipes, notices = chosen(project, targets, models, policy, request.trial)
        plan = planner.make(store, targets, models, tuple(project.target_files()), policy, without, recipes)
        yield store, replace(plan, notices=(*plan.notices, *notices))
    finally:
        store.close()


def drop_useless(
    store: Store, plan: Plan, done: Mapping[str, Action], without: dict[tuple[str, str], Without]
) -> list[str]:
    """Add to `without` what proved useless where the recipe says to leave it out; a line for each product with any.

    Of a product whose verdicts are not in `done` nothing is known.
    """
    from edgebuild.plan.useless import useless

    told = []
    for product in plan.products:
        if not product.drop_useless or product.verdicts not in done:
            continue
        place, found = (product.target, product.model), useless(product.chains, verdicts_of(store, product, done))
        if found:
            told.append(f"{'/'.join(place)}: {len(found)} useless steps are left out of the recipe")
            without[place] = without.get(place, frozenset()) | found
    return told


def verdicts_of(store: Store, product: Product, done: Mapping[str, Action]) -> Verdicts:
    """What the judge said of a product; it must be in `done`."""
    return documents.read(Verdicts, store.path(done[product.verdicts].output) / VERDICTS)
