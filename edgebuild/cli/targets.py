"""`edgebuild targets`: the targets there are, and what one of them says."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, project_option, verb


@verb("targets")
@click.argument("action", type=click.Choice(["list", "show"]), default="list")
@click.argument("name", required=False)
@project_option
def command(action: str, name: str | None, project: Path) -> Answer:
    """List targets, or show one.

    Example: edgebuild targets show rpi4
    """
    from edgebuild.engine.digests import plain
    from edgebuild.report import catalogue
    from edgebuild.spec.errors import UsageError
    from edgebuild.spec.project import open_project

    opened = open_project(project)
    if action == "show":
        if name is None:
            raise UsageError("name the target to show", key="NAME", hint=", ".join(opened.target_files()))
        target, policy = opened.target(name), opened.policy()
        document = {**plain(target), "policy": plain(policy)}
        return Answer(document, lambda: catalogue.show_target(target, opened.target_files()[name], policy))
    targets = [opened.target(known) for known in opened.target_files()]
    rows = [(t.name, t.hardware.cpu, ", ".join(r.format for r in t.runtimes), t.description) for t in targets]
    document = {"targets": [plain(target) for target in targets]}
    return Answer(document, lambda: catalogue.table(("target", "cpu", "formats", "description"), rows))
