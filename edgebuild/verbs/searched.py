"""Which recipe a build takes that names none: what the last search has come to, for this model, target and gates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.spec.model import ModelSpec
from edgebuild.spec.project import Project
from edgebuild.spec.target import SEARCHED, USUAL, Policy, Recipe, Target

if TYPE_CHECKING:
    from edgebuild.search.record import Result

Chosen = dict[tuple[str, str], Recipe]


def place(project: Project, target: str, model: str) -> Path:
    """Where the search for a model on a target is kept."""
    return project.state / "search" / target / model


def chosen(
    project: Project, targets: Sequence[Target], models: Sequence[ModelSpec], policy: Policy
) -> tuple[Chosen, list[str]]:
    """The recipe for each target that names none and each model, and what the user should know of it."""
    recipes: Chosen = {}
    notices: list[str] = []
    for target in targets:
        for model in models if target.recipe.name == SEARCHED and SEARCHED not in project.recipe_files() else ():
            key = target.name, model.name
            recipes[key], told = _one(project, target, model, policy)
            notices += [f"{'/'.join(key)}: {told}"] if told else []
    return recipes, notices


def _one(project: Project, target: Target, model: ModelSpec, policy: Policy) -> tuple[Recipe, str]:
    usual, folder = project.recipe(USUAL), place(project, target.name, model.name)
    if not folder.is_dir():
        return usual, ""
    from edgebuild.search import record

    if (result := record.read(folder)) is None or model.declared.assembly is not None:
        return usual, ""
    if not _is_of(result, target, model, policy):
        return usual, f"the last search was for other gates: its recipe is not taken, {USUAL} is"
    if result.taken is None:
        return usual, f"the last search found no recipe that passes: {USUAL} is taken"
    recipe = result.recipe(result.taken)
    return recipe, f"the recipe is number {result.taken} of the last search: {result.told(result.taken)}"


def _is_of(result: Result, target: Target, model: ModelSpec, policy: Policy) -> bool:
    """Whether a search was held to what a release must prove now."""
    from edgebuild.plan.limits import gates_of

    return result.gates == gates_of(target, model, policy)
