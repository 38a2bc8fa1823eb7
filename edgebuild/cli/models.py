"""`edgebuild models`: the models of the project."""

from __future__ import annotations

from pathlib import Path

from edgebuild.cli._verb import Answer, project_option, verb


@verb("models")
@project_option
def command(project: Path) -> Answer:
    """List the models of the project.

    Example: edgebuild models
    """
    from edgebuild.engine.digests import plain
    from edgebuild.report import catalogue
    from edgebuild.spec.project import open_project

    opened = open_project(project)
    models = [opened.model(name) for name in opened.model_folders()]
    rows = [(m.name, ", ".join(head.task for head in m.declared.heads), m.file, m.declared.description) for m in models]
    document = {"models": [{"name": m.name, "file": m.file, **plain(m.declared)} for m in models]}
    return Answer(document, lambda: catalogue.table(("model", "task", "file", "description"), rows))
