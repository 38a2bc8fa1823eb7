"""A copy of a bundle that may be handed on: every byte checked, and released unless somebody says otherwise."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgebuild.bundle import manifest
from edgebuild.bundle.kind import Contents
from edgebuild.spec.errors import EdgebuildError, UsageError

_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")


class Unreleased(EdgebuildError):
    """A bundle that has not passed every gate, and nobody said to take it all the same."""

    exit_code = 3


@contextmanager
def copied(bundle: Path, release: str | None, *, unreleased: bool) -> Iterator[tuple[Contents, Path]]:
    """A copy of the bundle that nobody else changes, every byte checked, in a scratch folder that is there meanwhile.

    UsageError for what is no bundle or no version, IntegrityError for a byte that is not as built, Unreleased for a
    bundle that is no release, and not `unreleased`. What is said of the copy meanwhile is said of the bundle.
    """
    manifest.verify_bundle(bundle)
    if release is not None and not _VERSION.fullmatch(release):
        raise UsageError(f"{release!r} is no version", key="--release", hint="numbers and dots, such as 1.4.0")
    with tempfile.TemporaryDirectory(prefix="edgebuild-") as scratch:
        copy = Path(scratch) / "bundle"
        try:
            shutil.copytree(bundle, copy, symlinks=True, copy_function=shutil.copyfile)
        except (OSError, shutil.Error) as error:
            raise UsageError(f"cannot be read: {error}", file=str(bundle)) from None
        with _named(copy, bundle):
            facts = manifest.verify_bundle(copy)
        if facts.status != "released" and not unreleased:
            reason = f"is a {facts.status}, not released: not every gate has passed"
            raise Unreleased(reason, file=str(bundle), hint="--unreleased takes it, marked as that")
        with _named(copy, bundle):
            yield Contents(copy, facts, release), Path(scratch)


@contextmanager
def _named(copy: Path, bundle: Path) -> Iterator[None]:
    """Errors that name the copy, or a file in it, name the bundle, which is what its owner knows."""
    try:
        yield
    except EdgebuildError as error:
        if error.file is None or not Path(error.file).is_relative_to(copy):
            raise
        named = str(bundle / Path(error.file).relative_to(copy))
        raise type(error)(error.reason, file=named, key=error.key, option=error.option, hint=error.hint) from None
