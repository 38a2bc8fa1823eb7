"""Verifies a bundle: every byte as built, signed by whom is trusted, and the very one or no older than asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from edgebuild.bundle import manifest, signature
from edgebuild.bundle.signature import Statement, Trusted
from edgebuild.spec import sha256
from edgebuild.spec.errors import IntegrityError, UsageError


@dataclass(frozen=True, slots=True)
class Request:
    """Which bundle must be signed by whom, where that signature is (None: beside it), as at least which release, and
    which digest its manifest must have.
    """

    bundle: Path
    trusted: Trusted | None = None
    signature: Path | None = None
    at_least: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle that is as built: its status, how many files it has, its digest, and what a signature says of it."""

    status: str
    files: int
    digest: str
    statement: Statement | None


def verify(request: Request) -> Verified:
    """What a bundle is; IntegrityError where it is not what is asked for, UsageError for what cannot be asked."""
    facts = manifest.verify_any(request.bundle)  # what older ones have to say is the same: digests and a status
    digest = sha256.of_file(request.bundle / manifest.MANIFEST)
    if request.digest is not None and request.digest.removeprefix("sha256:") != digest:
        raise IntegrityError(f"is another bundle, sha256:{digest}", file=str(request.bundle), key="--digest")
    statement = None
    if request.trusted is not None:
        file = request.signature or signature.beside(request.bundle)
        needed = (*facts.files, manifest.MANIFEST, manifest.SEAL)
        statement = signature.verify(request.bundle, file, request.trusted, needed)
        _check_age(request, statement, file)
    elif request.at_least or request.signature:
        raise UsageError("says nothing without who must have signed", key="--signed-by")
    return Verified(facts.status, len(facts.files), f"sha256:{digest}", statement)


def _check_age(request: Request, statement: Statement, file: Path) -> None:
    """IntegrityError for a release before the one that is asked for at least: an older one that is played again."""
    if request.at_least is None:
        return
    least = _version(request.at_least)
    if least is None:
        raise UsageError(f"{request.at_least!r} is no version", key="--at-least", hint="such as 1.4.0")
    release = _version(statement.release or "")
    if release is None:
        raise IntegrityError("does not say which release this is", file=str(file), key="--at-least")
    if release < least:
        raise IntegrityError(f"is for release {release}, an older one", file=str(file), key="--at-least")


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
