"""The manifest of a bundle: the digest of every file, and the check that nothing was added, changed or lost.

Where the recipe codes the download, the bundle has that and its decoder in the model file's place; `coded` names them
with the digest of the model file, which appears beside them on first use.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebuild import travels
from edgebuild.formats import coding
from edgebuild.spec.errors import IntegrityError, UsageError

MANIFEST, SEAL = "manifest.json", "manifest.sha256"
_NEEDED = {
    "status": str,
    "subject": dict,
    "runtime": dict,
    "file": str,
    "evidence": dict,
    "verdicts": list,
    "files": dict,
}
DECODER = "decode.py"  # in a bundle


def ship(model: Path, folder: Path) -> dict[str, Any] | None:
    """Put a model file into a bundle, or its download and the decoder where it has one: what the manifest says of it.

    None for a file that is shipped as it is.
    """
    download = model.with_name(model.name + coding.SUFFIX)
    if not download.is_file():
        shutil.copyfile(model, folder / model.name)
        return None
    shutil.copyfile(download, folder / download.name)
    shutil.copyfile(decoder(), folder / DECODER)
    return {"file": download.name, "decoder": DECODER, "sha256": _digest(model), "bytes": model.stat().st_size}


def decoder() -> Path:
    """The program that decodes a download, as it travels."""
    return travels.file(travels.DECODER)


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Write the manifest with the digests of all files that are in `folder`, and the manifest's own digest."""
    text = json.dumps({**facts, "files": listing(folder)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    (folder / SEAL).write_text(f"{_digest(folder / MANIFEST)}  {MANIFEST}\n")


def listing(folder: Path) -> dict[str, dict[str, Any]]:
    """{relative path: digest and size} of every file but the manifest and its seal."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: {"sha256": _digest(path), "bytes": path.stat().st_size}
        for name, path in named.items()
        if name not in (MANIFEST, SEAL)
    }


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle, its own digest checked; UsageError for no bundle, IntegrityError for a wrong digest."""
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"is not a bundle: it has no {MANIFEST}", file=str(folder))
    try:
        sealed = (folder / SEAL).read_text(encoding="utf-8")
        expected = f"{_digest(folder / MANIFEST)}  {MANIFEST}\n"
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{SEAL} cannot be read: {error}", file=str(folder)) from None
    if sealed != expected:
        raise IntegrityError(f"{MANIFEST} is not what {SEAL} says", file=str(folder))
    try:
        found: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{MANIFEST} cannot be read: {error}", file=str(folder)) from None
    facts = found if isinstance(found, dict) else {}
    if wrong := [name for name, kind in _NEEDED.items() if not isinstance(facts.get(name), kind)]:
        raise IntegrityError(
            f"{MANIFEST} is none of edgebuild's: it does not tell {', '.join(wrong)}", file=str(folder)
        )
    return found


def verify_bundle(folder: Path) -> dict[str, Any]:
    """As `verify`, for what only a bundle will do for; UsageError for a baseline, which is sealed in the same way."""
    if read(folder).get("kind", "bundle") != "bundle":
        raise UsageError("is a baseline, not a bundle", file=str(folder), hint="edgebuild baseline show NAME")
    return verify(folder)


def model(folder: Path, facts: Mapping[str, Any]) -> bytes:
    """The model file of a bundle with this manifest, decoded where it ships coded; IntegrityError if it cannot be."""
    coded = facts.get("coded")
    if coded is None:
        return Path(folder, facts["file"]).read_bytes()
    from edgebuild.travels.decoder import Damaged, decode

    place = folder / coded["file"]
    try:
        content: bytes = decode(place.read_bytes(), coded["bytes"])
    except (Damaged, OSError) as error:
        raise IntegrityError(f"cannot be decoded: {error}", file=str(place)) from None
    if hashlib.sha256(content).hexdigest() != coded["sha256"]:
        raise IntegrityError("does not give the model file that was built", file=str(place))
    return content


def verify(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle of which every byte is as recorded; IntegrityError names the first file that is not."""
    manifest = read(folder)
    recorded = manifest["files"]
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise IntegrityError("is a link; a bundle has none", file=str(path))
        if not path.is_file() and not path.is_dir():
            raise IntegrityError("is no file; a bundle has nothing else", file=str(path))
    try:
        present = listing(folder)
    except OSError as error:
        raise IntegrityError(f"cannot be read: {error.strerror}", file=str(error.filename or folder)) from None
    if manifest.get("coded"):
        model(folder, manifest)
        recorded = recorded | _decoded(manifest, present)
    for name in sorted({*recorded, *present}):
        if name not in present:
            raise IntegrityError("is missing from the bundle", file=str(folder / name))
        if name not in recorded:
            raise IntegrityError("is in the bundle but not in its manifest", file=str(folder / name))
        if present[name] != recorded[name]:
            raise IntegrityError("is not the file that was built: its digest differs", file=str(folder / name))
    return manifest


def _decoded(facts: dict[str, Any], present: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The model file as it must be, where first use has left it in the bundle."""
    return (
        {facts["file"]: {key: facts["coded"][key] for key in ("sha256", "bytes")}} if facts["file"] in present else {}
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
