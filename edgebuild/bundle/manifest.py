"""The manifest of a bundle: the digest of every file, and the check that nothing was added, changed or lost.

`parts` are the model files in the order in which they are run, `routing` says what goes from where to where (null is
the whole). Where the recipe codes the download, the bundle has that and its decoder in a part's file's place; `coded`
names them with the digest of the model file, which appears beside them on first use.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from edgebuild import travels
from edgebuild.bundle.facts import BaselineManifest, BundleManifest, Coded, File, Manifest, OlderManifest, ShippedPart
from edgebuild.formats import coding
from edgebuild.spec import documents, sha256
from edgebuild.spec.errors import IntegrityError, UsageError

_OLDER = 1  # schema: one file in the place of parts
MANIFEST, SEAL = "manifest.json", "manifest.sha256"
DECODER = "decode.py"  # in a bundle


def ship(model: Path, folder: Path, name: str) -> Coded | None:
    """Put a model file into a bundle under a name, or its download and the decoder where it has one.

    What the manifest says of the download; None for a file that is shipped as it is.
    """
    download = model.with_name(model.name + coding.SUFFIX)
    if not download.is_file():
        shutil.copyfile(model, folder / name)
        return None
    shutil.copyfile(download, folder / (name + coding.SUFFIX))
    shutil.copyfile(decoder(), folder / DECODER)
    return Coded(name + coding.SUFFIX, DECODER, sha256.of_file(model), model.stat().st_size)


def decoder() -> Path:
    """The program that decodes a download, as it travels."""
    return travels.file(travels.DECODER)


def seal(folder: Path, facts: Manifest) -> None:
    """Write the manifest with the digests of all files that are in `folder`, and the manifest's own digest."""
    documents.write(folder / MANIFEST, replace(facts, files=listing(folder)))
    (folder / SEAL).write_text(f"{sha256.of_file(folder / MANIFEST)}  {MANIFEST}\n")


def listing(folder: Path) -> dict[str, File]:
    """By relative path, every file but the manifest and its seal."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: File(sha256.of_file(path), path.stat().st_size)
        for name, path in named.items()
        if name not in (MANIFEST, SEAL)
    }


def read(folder: Path) -> BundleManifest | BaselineManifest:
    """The manifest in a folder, its own digest checked.

    UsageError for no bundle, and for one of another version of edgebuild; IntegrityError for a wrong digest.
    """
    content = _content(folder)
    schema = content.pop("schema", None)
    if isinstance(schema, int) and schema != documents.SCHEMA:
        reason = f"was made by another edgebuild: its {MANIFEST} has schema {schema}, and this one reads "
        hint = "build it again, or use the edgebuild that made it"
        raise UsageError(f"{reason}{documents.SCHEMA}", file=str(folder), hint=hint)
    if schema is None:
        raise IntegrityError(f"{MANIFEST} is none of edgebuild's: it does not tell its schema", file=str(folder))
    if content.get("kind") == "baseline":
        return documents.from_json(BaselineManifest, content, file=str(folder / MANIFEST))
    return documents.from_json(BundleManifest, content, file=str(folder / MANIFEST))


def _content(folder: Path) -> dict[str, Any]:
    """The manifest as plain data, if its bytes are those that were sealed."""
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"is not a bundle: it has no {MANIFEST}", file=str(folder))
    try:
        sealed = (folder / SEAL).read_text(encoding="utf-8")
        expected = f"{sha256.of_file(folder / MANIFEST)}  {MANIFEST}\n"
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{SEAL} cannot be read: {error}", file=str(folder)) from None
    if sealed != expected:
        raise IntegrityError(f"{MANIFEST} is not what {SEAL} says", file=str(folder))
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{MANIFEST} cannot be read: {error}", file=str(folder)) from None
    return content if isinstance(content, dict) else {}


def read_bundle(folder: Path) -> BundleManifest:
    """As `read`, for what only a bundle will do for; UsageError for a baseline, which is sealed in the same way."""
    facts = read(folder)
    if not isinstance(facts, BundleManifest):
        raise UsageError("is a baseline, not a bundle", file=str(folder), hint="edgebuild baseline show NAME")
    return facts


def verify_bundle(folder: Path) -> BundleManifest:
    """The manifest of a bundle, every byte checked as by `verify`."""
    facts = read_bundle(folder)
    _verify(folder, facts)
    return facts


def verify(folder: Path) -> BundleManifest | BaselineManifest:
    """The manifest of what is in a folder, every byte as recorded; IntegrityError names the first file that is not."""
    facts = read(folder)
    _verify(folder, facts)
    return facts


def _verify(folder: Path, facts: BundleManifest | BaselineManifest) -> None:
    # A baseline has the decoded file itself.
    parts = facts.parts if isinstance(facts, BundleManifest) else ()
    _check(folder, facts.files, ((part.file, part.coded) for part in parts))


def verify_any(folder: Path) -> OlderManifest:
    """What manifests of this and of older edgebuilds have in common, every byte checked as by `verify`."""
    content = _content(folder)
    if content.get("schema") != _OLDER:
        facts = verify(folder)
        return OlderManifest(facts.status, facts.files)
    common = {field.name: content[field.name] for field in fields(OlderManifest) if field.name in content}
    older = documents.from_json(OlderManifest, common, file=str(folder / MANIFEST))
    _check(folder, older.files, [(older.file, older.coded)])
    return older


def model(folder: Path, part: ShippedPart) -> bytes:
    """The file of a part in a bundle, decoded where it ships coded; IntegrityError if it cannot be."""
    return _decode(folder, part.coded) if part.coded else Path(folder, part.file).read_bytes()


def _decode(folder: Path, coded: Coded) -> bytes:
    from edgebuild.travels.decoder import Damaged, decode

    place = folder / coded.file
    try:
        content: bytes = decode(place.read_bytes(), coded.bytes)
    except (Damaged, OSError) as error:
        raise IntegrityError(f"cannot be decoded: {error}", file=str(place)) from None
    if sha256.of_bytes(content) != coded.sha256:
        raise IntegrityError("does not give the model file that was built", file=str(place))
    return content


def _check(folder: Path, files: Mapping[str, File], models: Iterable[tuple[str, Coded | None]]) -> None:
    """IntegrityError unless a folder has these files and no others; model files may lie beside their downloads."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise IntegrityError("is a link; a bundle has none", file=str(path))
        if not path.is_file() and not path.is_dir():
            raise IntegrityError("is no file; a bundle has nothing else", file=str(path))
    try:
        present = listing(folder)
    except OSError as error:
        raise IntegrityError(f"cannot be read: {error.strerror}", file=str(error.filename or folder)) from None
    recorded = dict(files)
    for name, coded in models:
        if coded is not None:
            _decode(folder, coded)
            recorded |= {name: File(coded.sha256, coded.bytes)} if name in present else {}
    for name in sorted({*recorded, *present}):
        if name not in present:
            raise IntegrityError("is missing from the bundle", file=str(folder / name))
        if name not in recorded:
            raise IntegrityError("is in the bundle but not in its manifest", file=str(folder / name))
        if present[name] != recorded[name]:
            raise IntegrityError("is not the file that was built: its digest differs", file=str(folder / name))
