"""`edgebuild devices`: what can measure for each target here, and the setting-up of what can be had."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, project_option, verb


@verb("devices")
@click.argument("action", type=click.Choice(["list", "setup"]), default="list")
@click.argument("target", required=False)
@click.option("--verify", is_flag=True, help="With setup: compare every file with its recorded digest.")
@click.option(
    "--faster", is_flag=True, help="With setup: compile an emulator that runs int8 files 2 to 3 times faster."
)
@project_option
def command(action: str, target: str | None, verify: bool, faster: bool, project: Path) -> Answer:
    """List the devices of every target and why one cannot be used, or set up the emulator.

    Example: edgebuild devices setup rpi4
    """
    from edgebuild.plan.instruments import survey
    from edgebuild.report import catalogue
    from edgebuild.spec.project import open_project

    opened = open_project(project)
    names = [target] if target else list(opened.target_files())
    targets = [opened.target(name) for name in names]
    if action == "list":
        found = [item for each in targets for item in survey(each)]
        rows = [[d[key] or "ready" for key in ("target", "transport", "fidelity", "why_unusable")] for d in found]
        return Answer({"devices": found}, lambda: catalogue.table(("target", "device", "fidelity", "state"), rows))
    from edgebuild.devices import qemu

    done = qemu.setup(
        lambda text: print(f"emulator: {text}", file=sys.stderr, flush=True), verify=verify, faster=faster
    )
    return Answer(done, lambda: print(f"{done['folder']}: the emulator is ready"))
