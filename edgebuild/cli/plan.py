"""`edgebuild plan`: the steps of a build and what each would do now."""

from __future__ import annotations

from pathlib import Path

from edgebuild.cli._verb import Answer, model_option, project_option, recipe_option, target_option, verb


@verb("plan")
@target_option
@model_option
@recipe_option
@project_option
def command(targets: tuple[str, ...], models: tuple[str, ...], recipe: str | None, project: Path) -> Answer:
    """Show the steps of a build without running them.

    Example: edgebuild plan --target rpi4
    """
    from edgebuild.report import steps
    from edgebuild.spec.project import open_project
    from edgebuild.verbs.explain import foresee
    from edgebuild.verbs.request import Request

    foreseen = foresee(Request(open_project(project), targets, models, recipe=recipe))
    return Answer({"steps": [steps.as_data(item) for item in foreseen]}, lambda: steps.show_plan(foreseen))
