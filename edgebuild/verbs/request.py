"""What is asked of a build, and the plan for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
    from edgebuild.spec.target import Recipe


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


@dataclass(frozen=True, slots=True)
class Revised:
    """What verdicts have changed of recipes, by target and model: the steps that are left out, the recipes that took
    the place of those that did not pass, and the last of these that was judged.
    """

    without: dict[tuple[str, str], Without] = field(default_factory=dict)
    recipes: dict[tuple[str, str], Recipe] = field(default_factory=dict)
    judged: dict[tuple[str, str], Recipe] = field(default_factory=dict)


@contextmanager
def planned(request: Request, revised: Revised | None = None) -> Iterator[tuple[Store, Plan]]:
    """The open store and the plan for a request, with its recipes as they were revised; one of which a step does not
    take the model is passed over as in `pass_over`, and `notices` of the plan say so.
    """
    from edgebuild.plan import planner
    from edgebuild.plan.recipe import RecipeError

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
        revised = revised or Revised()
        while True:
            every = {**recipes, **revised.recipes}
            try:
                plan = planner.make(
                    store, targets, models, tuple(project.target_files()), policy, revised.without, every
                )
                break
            except RecipeError as error:
                if error.recipe.otherwise is None and error.place not in revised.judged:
                    raise
                notices.append(_passed_over(error.place, error.recipe, error.reason, revised))
        yield store, replace(plan, notices=(*plan.notices, *notices))
    finally:
        store.close()


def revise(store: Store, plan: Plan, done: Mapping[str, Action], revised: Revised) -> list[str]:
    """Leave out what proved useless where the recipe says so, and pass over a recipe that did not pass where it names
    another; a line for each product of which the plan must be made again.

    Of a product whose verdicts are not in `done` nothing is known.
    """
    judged = [product for product in plan.products if product.verdicts in done]
    lines = (_revised(product, verdicts_of(store, product, done), revised) for product in judged)
    return [line for line in lines if line]


def pass_over(store: Store, plan: Plan, revised: Revised) -> list[str]:
    """Pass over a recipe of which a technique is known to refuse what it is given, where the recipe names another; go
    back to the one judged before where it is the last. A line for each product of which the plan must be made again.
    """
    from edgebuild.engine.resolve import refusals

    choices = [each for each in plan.products if each.recipe.otherwise or (each.target, each.model) in revised.judged]
    errors = refusals(plan.graph, store) if choices and store.refuses() else {}
    lines = []
    for product in choices:
        steps = (stage.output for chain in product.chains for stage in chain.stages)
        if name := next((each for each in steps if each in errors), None):
            why = f"{plan.graph.label(name).rpartition('/')[2]}: {errors[name].reason}"
            lines.append(_passed_over((product.target, product.model), product.recipe, why, revised))
    return lines


def _revised(product: Product, verdicts: Verdicts, revised: Revised) -> str:
    place = product.target, product.model
    if product.recipe.drop_useless:
        from edgebuild.plan.useless import useless

        if dropped := useless(product.chains, verdicts):
            revised.without[place] = revised.without.get(place, frozenset()) | dropped
            return f"{'/'.join(place)}: {len(dropped)} useless steps are left out of the recipe"
    if product.recipe.otherwise is None or verdicts.status == "pass":
        return ""
    revised.judged[place] = product.recipe
    short = dict.fromkeys(one.metric for one in verdicts.shipped.verdicts if one.status != "pass")
    return _passed_over(place, product.recipe, f"does not pass by {', '.join(short)}", revised)


def _passed_over(place: tuple[str, str], recipe: Recipe, why: str, revised: Revised) -> str:
    """Another recipe takes the place of a product's own, the last that was judged where none is left; the line that
    says so.
    """
    revised.without.pop(place, None)  # they were steps of another recipe
    if (following := recipe.otherwise) is None:
        revised.recipes[place] = replace(revised.judged.pop(place), otherwise=None)
        return f"{'/'.join(place)}: {why}: no other recipe is left, and the verdict on the one before stands"
    revised.recipes[place] = following
    return f"{'/'.join(place)}: {why}: the recipe {following.name} is tried"


def verdicts_of(store: Store, product: Product, done: Mapping[str, Action]) -> Verdicts:
    """What the judge said of a product; it must be in `done`."""
    return documents.read(Verdicts, store.path(done[product.verdicts].output) / VERDICTS)
