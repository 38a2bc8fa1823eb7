"""`edgebuild recipes`: the recipes that have a name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.cli._verb import Answer, project_option, verb

if TYPE_CHECKING:
    from edgebuild.spec.target import Recipe


@verb("recipes")
@project_option
def command(project: Path) -> Answer:
    """List the recipes that a target may name, or `--recipe` put in its own one's place.

    Example: edgebuild recipes
    """
    from edgebuild.engine.digests import plain
    from edgebuild.report import catalogue
    from edgebuild.spec.project import open_project

    opened = open_project(project)
    recipes = [opened.recipe(name) for name in opened.recipe_files()]
    rows = [(str(recipe.name), _steps(recipe), recipe.description) for recipe in recipes]
    return Answer(
        {"recipes": [plain(recipe) for recipe in recipes]},
        lambda: catalogue.table(("recipe", "steps", "description"), rows),
    )


def _steps(recipe: Recipe) -> str:
    steps = " → ".join(line.use for line in recipe.steps)
    return f"{steps}; else {_steps(recipe.otherwise)}" if recipe.otherwise else steps
