"""`edgebuild doctor`: what is missing on this machine for the project's targets, and what mends it."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, project_option, verb


@verb("doctor")
@click.option("--target", "-t", "targets", multiple=True, help="Only what this target needs; may be repeated.")
@project_option
def command(targets: tuple[str, ...], project: Path) -> Answer:
    """Say what this machine lacks, and the command that mends each.

    Looks at Python, packages, devices, and room on disk. Exit 4 when anything is missing that the
    project's targets need (its own ones, else the built-in ones). Example: edgebuild doctor --target rpi4
    """
    from edgebuild.report import health
    from edgebuild.spec.project import open_project
    from edgebuild.verbs import doctor

    opened = open_project(project)
    known = opened.target_files()
    own = [name for name, path in known.items() if path.is_relative_to(opened.root)]
    chosen = [opened.target(name) for name in dict.fromkeys(targets or own or known)]
    findings = doctor.examine(opened, chosen, opened.models())
    healthy = doctor.ready(findings)
    document = {
        "ready": healthy,
        "targets": [target.name for target in chosen],
        "findings": [finding.to_json() for finding in findings],
    }
    return Answer(document, lambda: health.show(findings, [target.name for target in chosen]), 0 if healthy else 4)
