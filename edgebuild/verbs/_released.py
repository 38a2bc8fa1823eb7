"""A copy of a bundle that may be handed on: every byte checked, and released unless somebody says otherwise."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from edgebuild.bundle import manifest
from edgebuild.bundle.kind import Contents
from edgebuild.spec.errors import EdgebuildError, UsageError

_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")


class Unreleased(EdgebuildError):
    """A bundle that has not passed every gate, and nobody said to take it all the same."""

    exit_code = 3


def check_release(release: str | None) -> None:
    """UsageError for what is no version."""
    if release is not None and not _VERSION.fullmatch(release):
        raise UsageError(f"{release!r} is no version", key="--release", hint="numbers and dots, such as 1.4.0")


def copied(bundle: Path, copy: Path, release: str | None, *, unreleased: bool) -> Contents:
    """A copy of the bundle that nobody else changes, checked; Unreleased for one that is none, and not `unreleased`."""
    try:
        shutil.copytree(bundle, copy, symlinks=True, copy_function=shutil.copyfile)
    except (OSError, shutil.Error) as error:
        raise UsageError(f"cannot be read: {error}", file=str(bundle)) from None
    facts = manifest.verify_bundle(copy)
    if facts.status != "released" and not unreleased:
        reason = f"is a {facts.status}, not released: not every gate has passed"
        raise Unreleased(reason, file=str(bundle), hint="--unreleased takes it, marked as that")
    return Contents(copy, facts, release)
