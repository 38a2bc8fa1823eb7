"""`edgebuild models`: the models of the project, and whether one of them can be built."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, cache_options, limit_options, limits, project_option, shared_at, verb


@verb("models")
@click.argument("action", type=click.Choice(["list", "check"]), default="list")
@click.argument("name", required=False)
@click.option("--target", "-t", default="host", show_default=True, help="The target whose runtimes are asked about.")
@cache_options
@limit_options
@project_option
def command(
    action: str,
    name: str | None,
    target: str,
    cache: str | None,
    cache_read_only: bool,
    jobs: int | None,
    step_memory: str,
    step_time: str,
    project: Path,
) -> Answer:
    """List models, or check one: declaration, data, one pass through its own runtime, what techniques say to it.

    Example: edgebuild models check digits
    """
    from edgebuild.spec.errors import UsageError
    from edgebuild.spec.project import open_project

    opened = open_project(project)
    if action == "list":
        return _listed(project)
    if name is None:
        raise UsageError("name the model to check", key="NAME", hint=", ".join(opened.model_folders()))
    from edgebuild.report import progress
    from edgebuild.report.check import document, show
    from edgebuild.spec import surroundings
    from edgebuild.verbs import check

    allowed, place = limits(step_memory, step_time), shared_at(cache, cache_read_only)
    model, chosen = opened.model(name), opened.target(target)
    with progress.display(sys.stderr) as events:
        checked = check.run(opened, model, chosen, jobs or surroundings.cores(), events, allowed, place)
    return Answer(document(checked), lambda: show(checked))


def _listed(project: Path) -> Answer:
    from edgebuild.engine.digests import plain
    from edgebuild.report import catalogue
    from edgebuild.spec.project import open_project

    opened = open_project(project)
    models = [opened.model(name) for name in opened.model_folders()]
    rows = [(m.name, ", ".join(head.task for head in m.declared.heads), m.file, m.declared.description) for m in models]
    document = {"models": [{"name": m.name, "file": m.file, **plain(m.declared)} for m in models]}
    return Answer(document, lambda: catalogue.table(("model", "task", "file", "description"), rows))
