"""Where what a model.toml names lies: in its folder, in an installed package, or below what a variable names."""

from __future__ import annotations

import os
import re
from importlib import metadata
from pathlib import Path

from edgebuild.spec.errors import UsageError

PACKAGE = "package:"
_PACKAGED = re.compile(rf"{PACKAGE}(?P<name>[\w.-]+)/(?P<path>.+)")
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)\})(?P<path>/.*)?")


def of(folder: Path, name: str) -> Path:
    """The place of `name`: "package:DISTRIBUTION/PATH", "$VARIABLE/PATH", absolute, or from `folder`.

    UsageError for a package that is not installed, and a variable that is not set. Nothing of a package is imported.
    """
    # Another text than the file's, where the system's file names are no UTF-8.
    name = os.fsdecode(name.encode(errors="surrogateescape"))
    if name.startswith(PACKAGE):
        return _packaged(name)
    variable = _VARIABLE.fullmatch(name)
    return _named(variable) if variable else folder / name


def _packaged(name: str) -> Path:
    parts = _PACKAGED.fullmatch(name)
    if parts is None:
        raise UsageError(f"{name!r} is no {PACKAGE}NAME/PATH of an installed package")
    try:
        return Path(str(metadata.distribution(parts["name"]).locate_file(parts["path"])))
    except metadata.PackageNotFoundError:
        message = f"lies in the package {parts['name']}, which is not installed"
        raise UsageError(message, hint=f"pip install {parts['name']}") from None


def _named(variable: re.Match[str]) -> Path:
    name = variable["plain"] or variable["braced"]
    value = os.environ.get(name)
    if not value:
        message = f"starts with the variable {name}, which is not set"
        raise UsageError(message, hint=f"{name}=/path/of/the/folder edgebuild …")
    return Path(value + (variable["path"] or ""))
