"""The packages that a target asks of a released bundle: made beside it where they are not, and taken away with it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from edgebuild import __version__
from edgebuild.bundle import manifest
from edgebuild.bundle.facts import File
from edgebuild.engine import files
from edgebuild.spec import sha256
from edgebuild.spec.errors import UsageError
from edgebuild.verbs.package import RECORD, Request, package, place


def bring_up(bundle: Path, kinds: Iterable[str], file: str) -> dict[str, Path]:
    """The folders of the packages by kind, each made of this very bundle; none where it is no release.

    What an earlier bundle was packaged as goes with that. UsageError for a bundle that cannot be of a kind, which names
    the target's `file`.
    """
    places = {kind: place(bundle, kind) for kind in dict.fromkeys(kinds)}
    released = (bundle / manifest.MANIFEST).is_file() and manifest.read_bundle(bundle).status == "released"
    for kind, folder in places.items():
        if released and not _is_current(folder, bundle):
            _make(bundle, kind, file)
        elif not released and (folder / RECORD).is_file():
            files.remove_tree(folder)
    return places if released else {}


def _make(bundle: Path, kind: str, file: str) -> None:
    try:
        package(Request(bundle, kind))
    except UsageError as error:
        reason = f"no package of kind {kind!r} can be made: {error.line}"
        raise UsageError(reason, file=file, key="packages", hint="the bundle itself is whole") from None


def _is_current(folder: Path, bundle: Path) -> bool:
    """Whether a package was made of this bundle by this edgebuild, and is as it was made."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        listed = {name: File(**each) for name, each in record["files"].items()}
        made_of = (record["bundle"], record["edgebuild"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False
    present = {name: each for name, each in manifest.listing(folder).items() if name != RECORD}
    return made_of == (f"sha256:{sha256.of_file(bundle / manifest.MANIFEST)}", __version__) and present == listed
