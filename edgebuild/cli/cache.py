"""`edgebuild cache`: how large the store is, and how to empty it."""

from __future__ import annotations

import os
from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, project_option, verb


@verb("cache")
@click.argument("action", type=click.Choice(["info", "clear"]), default="info")
@project_option
def command(action: str, project: Path) -> Answer:
    """Show the store's size, or remove all of it.

    Example: edgebuild cache info
    """
    from edgebuild.engine import owned
    from edgebuild.engine.store import disk_error
    from edgebuild.spec.errors import UsageError
    from edgebuild.spec.project import open_project
    from edgebuild.spec.units import show_bytes

    store = open_project(project).store
    if os.path.lexists(store) and not owned.is_store(store):
        raise UsageError("is no store of edgebuild", file=str(store), hint="see EDGEBUILD_STORE")
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    artifacts = sum(1 for _ in (store / "cas").glob("*"))
    if action == "clear":
        try:
            owned.clear(store)
        except OSError as error:
            raise disk_error(error, store) from None
    document = {"store": str(store), "bytes": size, "artifacts": artifacts, "cleared": action == "clear"}
    predicate = "removed" if action == "clear" else "holds"
    return Answer(document, lambda: print(f"{store}: {predicate} {artifacts} artifacts, {show_bytes(size)}"))
