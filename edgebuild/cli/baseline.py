"""`edgebuild baseline`: keep a bundle as what later ones are compared with, and show what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from edgebuild.cli._verb import Answer, project_option, verb

if TYPE_CHECKING:
    from edgebuild.bundle.baselines import Baseline
    from edgebuild.spec.project import Project


@verb("baseline")
@click.argument("action", type=click.Choice(["list", "show", "set"]), default="list")
@click.argument("what", required=False)
@click.option("--name", help="With set: its name; default: TARGET-MODEL.")
@click.option("--with-data", is_flag=True, help="With set: keep the held-out examples too, for a gate elsewhere.")
@click.option("--baselines", type=click.Path(path_type=Path), help="Where baselines are; default: baselines/.")
@project_option
def command(
    action: str, what: str | None, name: str | None, with_data: bool, baselines: Path | None, project: Path
) -> Answer:
    """List baselines, show one by NAME, or set one from a BUNDLE.

    A baseline is plain files that can be committed or shared; their digests are checked whenever they are read.
    Example: edgebuild baseline set dist/rpi4/digits --name v1
    """
    from edgebuild.bundle import baselines as kept
    from edgebuild.report import past
    from edgebuild.spec.errors import EdgebuildError, UsageError
    from edgebuild.spec.project import open_project

    opened = open_project(project)
    folder = baselines or opened.root / kept.FOLDER
    if (name or with_data) and action != "set":
        raise UsageError("goes with set alone", key="--name" if name else "--with-data")
    if action == "list":
        if what is not None:
            raise UsageError("list takes no name", key=what, hint=f"edgebuild baseline show {what}")
        surveyed = kept.survey(folder)
        plain = [item.to_json() if isinstance(item, EdgebuildError) else kept.to_json(item) for item in surveyed]
        return Answer({"baselines": plain}, lambda: past.show_baselines(surveyed, str(folder)))
    if what is None:
        raise UsageError("is missing", key="BUNDLE" if action == "set" else "NAME")
    one = _set(opened, Path(what), folder, name, with_data) if action == "set" else kept.read(folder, what)
    return Answer(kept.to_json(one), lambda: past.show_baseline(one))


def _set(project: Project, bundle: Path, folder: Path, name: str | None, data: bool) -> Baseline:
    from edgebuild.bundle import baselines
    from edgebuild.engine.store import Store

    store = Store(project.store)
    try:
        return baselines.keep(bundle, folder, store, project.root, name, data=data)
    finally:
        store.close()
