"""What was packaged, for people and for machines."""

from __future__ import annotations

from typing import Any

from edgebuild.spec import documents
from edgebuild.verbs.package import Package


def document(package: Package) -> dict[str, Any]:
    """The package as plain data."""
    plain: dict[str, Any] = documents.to_json(package)
    return plain


def show(package: Package) -> None:
    """Print where it is and the files that people hand on; of many, how many they are."""
    total = sum(each.bytes for each in package.files.values())
    names = list(package.files)
    contents = ", ".join(names) if len(names) <= 4 else f"{len(names)} files"
    print(f"{package.folder}: {package.kind} package {package.name} {package.version}: {contents}, {total} bytes")
    if package.status != "released":
        print(f"{package.folder}: made of a {package.status}: not every gate has passed")
