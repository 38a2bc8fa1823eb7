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
@click.option(
    *("--from", "brought"),
    type=click.Path(exists=True, path_type=Path),
    help="With setup: a folder or archive with the emulator's files, for machines without a network.",
)
@click.option(
    "--download",
    type=click.Path(file_okay=False, path_type=Path),
    help="With setup: only bring those files into a folder, for --from on another machine.",
)
@click.option(
    "--machine",
    type=click.Choice(["x86_64", "aarch64"]),
    help="With --download: that machine's processor, where it is not as this one's.",
)
@click.option("--mirror", help="With setup: a mirror of Debian 12 (http://…/debian) to ask first.")
@project_option
def command(
    action: str,
    target: str | None,
    verify: bool,
    faster: bool,
    brought: Path | None,
    download: Path | None,
    machine: str | None,
    mirror: str | None,
    project: Path,
) -> Answer:
    """List the devices of every target and why one cannot be used, or set up the emulator.

    Example: edgebuild devices setup rpi4
    """
    from edgebuild.plan.instruments import survey
    from edgebuild.report import catalogue
    from edgebuild.spec.project import open_project

    opened = open_project(project)
    targets = [opened.target(name) for name in ([target] if target else opened.target_files())]
    if action == "setup":
        return _setup(verify, faster, brought, download, machine, mirror)
    surveyed = [item for each in targets for item in survey(each)]
    rows = [[d[key] or "ready" for key in ("target", "transport", "fidelity", "why_unusable")] for d in surveyed]
    return Answer({"devices": surveyed}, lambda: catalogue.table(("target", "device", "fidelity", "state"), rows))


def _setup(
    verify: bool, faster: bool, brought: Path | None, download: Path | None, machine: str | None, mirror: str | None
) -> Answer:
    from edgebuild.devices import qemu
    from edgebuild.spec.errors import UsageError

    if download and (brought or verify):
        raise UsageError(f"--download {'and --from' if brought else 'and --verify'}: name one of them")
    if download:
        done = qemu.download(_progress, download, machine=machine, faster=faster, mirror=mirror)
        return Answer(done, lambda: print(f"{download}: {done['files']} files for --from on {done['machine']}"))
    done = qemu.setup(_progress, verify=verify, faster=faster, brought=brought, mirror=mirror)
    return Answer(done, lambda: print(f"{done['folder']}: the emulator is ready"))


def _progress(text: str) -> None:
    print(f"emulator: {text}", file=sys.stderr, flush=True)
