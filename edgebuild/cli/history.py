"""`edgebuild history`: what builds and gates of this project found, commit by commit."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, project_option, verb


@verb("history")
@click.option("--target", "-t", help="Only this target.")
@click.option("--model", "-m", help="Only this model.")
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many, the newest.")
@project_option
def command(target: str | None, model: str | None, last: int, project: Path) -> Answer:
    """Show the verdicts of earlier builds and gates.

    Every build that makes a new bundle or verdict, and every gate, adds a line to history.jsonl. Exit 2 when there
    is none, 5 when lines of it are damaged. Example: edgebuild history --target rpi4
    """
    from edgebuild.bundle import history
    from edgebuild.report import past
    from edgebuild.spec import documents
    from edgebuild.spec.errors import UsageError
    from edgebuild.spec.project import open_project

    root = open_project(project).root
    kept = history.read(root)
    about = [e for e in kept.entries if target in (None, e.target) and model in (None, e.model)]
    if not about and not kept.damaged:
        raise UsageError(f"no entry is about {' and '.join(filter(None, (target, model)))}", file=history.FILE)
    document = {"entries": documents.to_json(about[-last:]), "damaged": list(kept.damaged)}
    return Answer(document, lambda: past.show(about[-last:], kept.damaged), 5 if kept.damaged else 0)
