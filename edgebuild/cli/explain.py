"""`edgebuild explain`: why a build would run what it would run, and why the last one ran what it ran."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, model_option, project_option, recipe_option, target_option, verb


@verb("explain")
@click.argument("step", required=False)
@click.option("--gate", help="Explain the last verdict on this metric instead.")
@target_option
@model_option
@recipe_option
@project_option
def command(
    step: str | None,
    gate: str | None,
    targets: tuple[str, ...],
    models: tuple[str, ...],
    recipe: str | None,
    project: Path,
) -> Answer:
    """Say which part of a key changed; with STEP, show all parts of that step's key; with --gate, a verdict whole.

    Example: edgebuild explain --target rpi4 rpi4/digits/judge
    """
    from edgebuild.report import steps, verdict
    from edgebuild.spec import documents
    from edgebuild.spec.errors import UsageError
    from edgebuild.spec.project import open_project, suggest
    from edgebuild.verbs.explain import foresee, last_verdicts
    from edgebuild.verbs.journal import last_build
    from edgebuild.verbs.request import Request

    opened = open_project(project)
    if gate is not None:
        if step is not None:
            raise UsageError("explains a verdict, and STEP a key: name one of the two", key="--gate")
        verdicts = last_verdicts(Request(opened, targets, models, recipe=recipe), gate)
        return Answer({"verdicts": [last.to_json() for last in verdicts]}, lambda: verdict.show(verdicts))
    foreseen = foresee(Request(opened, targets, models, recipe=recipe))
    labels = [item.label for item in foreseen]
    if step is not None and step not in labels:
        raise UsageError(f"unknown step {step!r}", hint=suggest(step, labels))
    chosen = [item for item in foreseen if step in (None, item.label)]
    last = last_build(opened)
    document = {"steps": [steps.as_data(item, parts=True) for item in chosen], "last_build": documents.to_json(last)}
    return Answer(document, lambda: steps.show_explanation(chosen, last, whole=step is not None))
