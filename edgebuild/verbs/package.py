"""Packages a bundle for a platform: checks it, lets a kind write, and puts the result in place in one step."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edgebuild import __version__
from edgebuild.bundle import manifest
from edgebuild.bundle.facts import File
from edgebuild.bundle.kind import KINDS, Contents
from edgebuild.engine import files, owned
from edgebuild.engine.store import disk_error
from edgebuild.verbs._released import copied

RECORD = "edgebuild.json"  # in every package's folder: what it was made of


@dataclass(frozen=True, slots=True)
class Request:
    """Which bundle to package as what, where the package goes (None: beside the bundle), and as which version."""

    bundle: Path
    kind: str
    out: Path | None = None
    version: str | None = None
    unreleased: bool = False


@dataclass(frozen=True, slots=True)
class Package:
    """A package that was written: its folder, its version, what it holds, and whether the bundle was released."""

    folder: Path
    kind: str
    name: str
    version: str
    status: str
    files: dict[str, File]


def package(request: Request) -> Package:
    """Write the package, in the place of an older one of the same kind.

    UsageError for what cannot be packaged so, Unreleased for a bundle that is no release, IntegrityError for one of
    which a byte is not as built.
    """
    kind = KINDS.get(request.kind, key="--as")
    out = request.out or place(request.bundle, request.kind)
    with copied(request.bundle, request.version, unreleased=request.unreleased) as (contents, scratch):
        owned.check_replaceable(out, RECORD)
        staging = scratch / "package"
        staging.mkdir()
        kind().write(contents, staging)
        package = _recorded(request, contents, staging, out)
        try:
            files.publish_tree(staging, out)
        except OSError as error:
            raise disk_error(error, out) from None
    return package


def place(bundle: Path, kind: str) -> Path:
    """Where a package of a bundle goes, unless somebody says otherwise."""
    return bundle.resolve().with_name(f"{bundle.resolve().name}.{kind}")


def _recorded(request: Request, contents: Contents, staging: Path, out: Path) -> Package:
    """Write beside the package what it was made of."""
    listing = manifest.listing(staging)
    package = Package(out, request.kind, contents.name, contents.version, contents.facts.status, listing)
    record = {
        "kind": request.kind,
        "name": contents.name,
        "version": contents.version,
        "status": contents.facts.status,
        "edgebuild": __version__,
        "bundle": f"sha256:{contents.digest}",
        "files": {name: {"sha256": each.sha256, "bytes": each.bytes} for name, each in listing.items()},
    }
    (staging / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return package
