"""The manifest of a bundle: the digest of every file, and the check that nothing was added, changed or lost.

Where the recipe codes the download, the bundle has that and its decoder in the model file's place; `coded` names them
with the digest of the model file, which appears beside them on first use.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebuild import travels
from edgebuild.bundle.facts import BaselineManifest, BundleManifest, Coded, File, Manifest
from edgebuild.formats import coding
from edgebuild.spec import documents
from edgebuild.spec.errors import IntegrityError, UsageError

MANIFEST, SEAL = "manifest.json", "manifest.sha256"
DECODER = "decode.py"  # in a bundle


def ship(model: Path, folder: Path) -> Coded | None:
    """Put a model file into a bundle, or its download and the decoder where it has one: what the manifest says of it.

    None for a file that is shipped as it is.
    """
    download = model.with_name(model.name + coding.SUFFIX)
    if not download.is_file():
        shutil.copyfile(model, folder / model.name)
        return None
    shutil.copyfile(download, folder / download.name)
    shutil.copyfile(decoder(), folder / DECODER)
    return Coded(download.name, DECODER, _digest(model), model.stat().st_size)


def decoder() -> Path:
    """The program that decodes a download, as it travels."""
    return travels.file(travels.DECODER)


def seal(folder: Path, facts: Manifest) -> None:
    """Write the manifest with the digests of all files that are in `folder`, and the manifest's own digest."""
    documents.write(folder / MANIFEST, replace(facts, files=listing(folder)))
    (folder / SEAL).write_text(f"{_digest(folder / MANIFEST)}  {MANIFEST}\n")


def listing(folder: Path) -> dict[str, File]:
    """By relative path, every file but the manifest and its seal."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: File(_digest(path), path.stat().st_size) for name, path in named.items() if name not in (MANIFEST, SEAL)
    }


def read(folder: Path) -> BundleManifest | BaselineManifest:
    """The manifest in a folder, its own digest checked.

    UsageError for no bundle, and for one of another version of edgebuild; IntegrityError for a wrong digest.
    """
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"is not a bundle: it has no {MANIFEST}", file=str(folder))
    try:
        sealed = (folder / SEAL).read_text(encoding="utf-8")
        expected = f"{_digest(folder / MANIFEST)}  {MANIFEST}\n"
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{SEAL} cannot be read: {error}", file=str(folder)) from None
    if sealed != expected:
        raise IntegrityError(f"{MANIFEST} is not what {SEAL} says", file=str(folder))
    return _parse(folder)


def _parse(folder: Path) -> BundleManifest | BaselineManifest:
    """The manifest, whose bytes are as they were sealed."""
    try:
        content: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{MANIFEST} cannot be read: {error}", file=str(folder)) from None
    if not isinstance(content, dict):
        raise IntegrityError(f"{MANIFEST} is none of edgebuild's", file=str(folder))
    if content.get("kind") == "baseline":
        return documents.read(BaselineManifest, folder / MANIFEST)
    return documents.read(BundleManifest, folder / MANIFEST)


def read_bundle(folder: Path) -> BundleManifest:
    """As `read`, for what only a bundle will do for; UsageError for a baseline, which is sealed in the same way."""
    facts = read(folder)
    if not isinstance(facts, BundleManifest):
        raise UsageError("is a baseline, not a bundle", file=str(folder), hint="edgebuild baseline show NAME")
    return facts


def verify_bundle(folder: Path) -> BundleManifest:
    """The manifest of a bundle, every byte checked as by `verify`."""
    facts = read_bundle(folder)
    verify(folder)
    return facts


def model(folder: Path, facts: BundleManifest) -> bytes:
    """The model file of a bundle with this manifest, decoded where it ships coded; IntegrityError if it cannot be."""
    coded = facts.coded
    if coded is None:
        return Path(folder, facts.file).read_bytes()
    from edgebuild.travels.decoder import Damaged, decode

    place = folder / coded.file
    try:
        content: bytes = decode(place.read_bytes(), coded.bytes)
    except (Damaged, OSError) as error:
        raise IntegrityError(f"cannot be decoded: {error}", file=str(place)) from None
    if hashlib.sha256(content).hexdigest() != coded.sha256:
        raise IntegrityError("does not give the model file that was built", file=str(place))
    return content


def verify(folder: Path) -> BundleManifest | BaselineManifest:
    """The manifest of a bundle of which every byte is as recorded; IntegrityError names the first file that is not."""
    facts = read(folder)
    recorded = dict(facts.files)
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise IntegrityError("is a link; a bundle has none", file=str(path))
        if not path.is_file() and not path.is_dir():
            raise IntegrityError("is no file; a bundle has nothing else", file=str(path))
    try:
        present = listing(folder)
    except OSError as error:
        raise IntegrityError(f"cannot be read: {error.strerror}", file=str(error.filename or folder)) from None
    if isinstance(facts, BundleManifest) and facts.coded is not None:
        model(folder, facts)
        recorded |= _decoded(facts, facts.coded, present)
    for name in sorted({*recorded, *present}):
        if name not in present:
            raise IntegrityError("is missing from the bundle", file=str(folder / name))
        if name not in recorded:
            raise IntegrityError("is in the bundle but not in its manifest", file=str(folder / name))
        if present[name] != recorded[name]:
            raise IntegrityError("is not the file that was built: its digest differs", file=str(folder / name))
    return facts


def _decoded(facts: BundleManifest, coded: Coded, present: dict[str, File]) -> dict[str, File]:
    """The model file as it must be, where first use has left it in the bundle."""
    return {facts.file: File(coded.sha256, coded.bytes)} if facts.file in present else {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
