"""Signs a bundle: as it was checked, under the name of its model, target and release, into a file beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgebuild.bundle import signature
from edgebuild.bundle.signature import Signer
from edgebuild.engine.store import disk_error
from edgebuild.spec.errors import UsageError
from edgebuild.verbs._released import copied


@dataclass(frozen=True, slots=True)
class Request:
    """Which bundle to sign with what, where the signature goes (None: beside the bundle), and as which release."""

    bundle: Path
    signer: Signer
    out: Path | None = None
    release: str | None = None
    unreleased: bool = False


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was written, the name that it is for, and the status of its bundle."""

    file: Path
    name: str
    status: str


def sign(request: Request) -> Signed:
    """Write the signature in one step, in the place of an older one.

    UsageError for a key that cannot sign and for a place in the bundle, Unreleased for what is no release,
    IntegrityError for a bundle of which a byte is not as built.
    """
    out = (request.out or signature.beside(request.bundle)).absolute()
    if out.parent.resolve().is_relative_to(request.bundle.resolve()):
        raise UsageError("lies in the bundle, which it would change", file=str(out), key="--out")
    with copied(request.bundle, request.release, unreleased=request.unreleased) as (contents, scratch):
        for part in contents.facts.parts:
            if part.coded:  # what was decoded beside its download may be there or not
                (contents.folder / part.file).unlink(missing_ok=True)
        name = contents.name + (f"{signature.RELEASE}{request.release}" if request.release else "")
        named = contents.folder.rename(scratch / name)
        signature.sign(named, request.signer, scratch / "signature")
        put((scratch / "signature").read_bytes(), out)
    return Signed(out, name, contents.facts.status)


def put(content: bytes, out: Path) -> None:
    """Write a signature in one step, in the place of another; UsageError or the like where the disk refuses."""
    fresh = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        fresh.write_bytes(content)
        fresh.replace(out)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise disk_error(error, out) from None
