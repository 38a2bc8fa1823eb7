"""The last search for a model on a target, and which recipe a build takes that names none: what that has come to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.project import Project
from edgebuild.spec.target import SEARCHED, Policy, Recipe, Target

if TYPE_CHECKING:
    from edgebuild.search.record import Result

Chosen = dict[tuple[str, str], Recipe]


def place(project: Project, target: str, model: str) -> Path:
    """Where the search for a model on a target is kept."""
    return project.state / "search" / target / model


def chosen(
    project: Project,
    targets: Sequence[Target],
    models: Sequence[ModelSpec],
    policy: Policy,
    trial: int | None = None,
) -> tuple[Chosen, list[str]]:
    """The recipe for each target that names none and each model, and what the user should know of it.

    With `trial` it is that one's, whatever gates the search was held to.
    """
    recipes: Chosen = {}
    notices: list[str] = []
    own = trial is None and SEARCHED in project.recipe_files()  # a file of that name is a recipe like any
    for target in targets:
        for model in models if target.recipe.name == SEARCHED and not own else ():
            key = target.name, model.name
            recipes[key], notice = _one(project, target, model, policy, trial)
            notices += [f"{'/'.join(key)}: {notice}"] if notice else []
    return recipes, notices


def _one(project: Project, target: Target, model: ModelSpec, policy: Policy, trial: int | None) -> tuple[Recipe, str]:
    usual, folder = project.recipe_of(model), place(project, target.name, model.name)
    if not folder.is_dir():
        return usual, ""
    from edgebuild.search import record

    if (result := record.read(folder)) is None or model.declared.assembly is not None:
        return usual, ""
    if trial is not None:
        return result.recipe(trial), ""
    if not _is_of(result, target, model, policy):
        return usual, f"the last search was for other gates: its recipe is not taken, {usual.name} is"
    if result.taken is None:
        return usual, f"the last search found no recipe that passes: {usual.name} is taken"
    recipe = result.recipe(result.taken)
    return recipe, f"the recipe is number {result.taken} of the last search: {result.told(result.taken)}"


def _is_of(result: Result, target: Target, model: ModelSpec, policy: Policy) -> bool:
    """Whether a search was held to what a release must prove now."""
    from edgebuild.plan.limits import gates_of

    return result.gates == gates_of(target, model, policy)


def model_of(project: Project, name: str | None) -> ModelSpec:
    """The model that is searched for; UsageError where several might be meant."""
    models = project.models((name,) if name else ())
    if len(models) != 1:
        names = ", ".join(model.name for model in models) or "none"
        raise UsageError("a search is for one model", key="--model", hint=f"name one of: {names}")
    return models[0]


def look(project: Project, target: str, name: str | None) -> Result:
    """What the last search came to; UsageError where there was none."""
    model = model_of(project, name)
    from edgebuild.search import record

    result = record.read(place(project, project.target(target).name, model.name))
    if result is None:
        reason = f"no search for {model.name} on {target} yet"
        raise UsageError(reason, hint=f"edgebuild search --target {target} --model {model.name}")
    return result


def take(project: Project, target: str, name: str | None, number: int) -> Result:
    """Let builds take this trial of the last search from now on; UsageError for one that there is not."""
    from edgebuild.search import record

    result = look(project, target, name).takes(number)
    record.write(place(project, result.target, result.model), result)
    return result
