"""An artifact in a cache by its digest alone: how inputs of a step get to the machine that runs it."""

from __future__ import annotations

from pathlib import Path

from edgebuild.engine import entry as entries
from edgebuild.engine import files
from edgebuild.engine.entry import Entry
from edgebuild.engine.remote import Damaged, Remote
from edgebuild.engine.store import Store
from edgebuild.spec.artifact import Artifact, Determinism

_ANYWHERE: Determinism = "everywhere"


def name(artifact: Artifact) -> str:
    """Where the artifact lies."""
    return entries.name(_key(artifact), _ANYWHERE, "")


def entry(artifact: Artifact, folder: Path) -> Entry:
    """What the cache says of the artifact, whose files are in `folder`."""
    blobs = entries.blobs(folder)
    return Entry(_key(artifact), "artifact", _ANYWHERE, "", artifact.kind, artifact.digest, blobs, 0.0)


def take(store: Store, artifact: Artifact, remote: Remote) -> None:
    """Have the artifact in the store.

    Raises Damaged where what is in the cache is not believed or is not there, CacheError where the cache is no use.
    """
    if store.holds(artifact):
        return
    folder = store.scratch("parcel")
    try:
        fetched = remote.fetch(name(artifact), folder)
        if fetched is None:
            raise Damaged(f"an input ({artifact.kind} {artifact.digest[:12]}) is not there")
        if fetched.artifact != artifact or store.put(folder, artifact.kind) != artifact:
            raise Damaged("the entry is about another artifact")
    finally:
        files.remove_tree(folder)


def _key(artifact: Artifact) -> str:
    return f"artifact {artifact.kind} {artifact.digest}"
