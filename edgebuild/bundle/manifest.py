"""The manifest of a bundle: the digest of every file, and the check that nothing was added, changed or lost.

`parts` are the model files in the order in which they are run, `routing` says what goes from where to where (null is
the whole). Where the recipe codes the download, the bundle has that and its decoder in a part's file's place; `coded`
names them with the digest of the model file, which appears beside them on first use.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebuild import travels
from edgebuild.formats import coding
from edgebuild.spec import documents, sha256
from edgebuild.spec.errors import IntegrityError, UsageError
from edgebuild.spec.evidence import Evidence, Verdict

SCHEMA, _OLDER = 2, (1,)  # 1: one file in the place of parts
MANIFEST, SEAL = "manifest.json", "manifest.sha256"
_NEEDED = {
    "status": str,
    "subject": dict,
    "format": str,
    "parts": list,
    "routing": list,
    "evidence": dict,
    "verdicts": list,
    "files": dict,
}
_OF_A_PART = {"name": str, "file": str, "runtime": dict, "coded": dict | None}
DECODER = "decode.py"  # in a bundle


def ship(model: Path, folder: Path, name: str) -> dict[str, Any] | None:
    """Put a model file into a bundle under a name, or its download and the decoder where it has one.

    What the manifest says of the download; None for a file that is shipped as it is.
    """
    download = model.with_name(model.name + coding.SUFFIX)
    if not download.is_file():
        shutil.copyfile(model, folder / name)
        return None
    shutil.copyfile(download, folder / (name + coding.SUFFIX))
    shutil.copyfile(decoder(), folder / DECODER)
    coded = {"sha256": sha256.of_file(model), "bytes": model.stat().st_size}
    return {"file": name + coding.SUFFIX, "decoder": DECODER} | coded


def decoder() -> Path:
    """The program that decodes a download, as it travels."""
    return travels.file(travels.DECODER)


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Write the manifest with the digests of all files that are in `folder`, and the manifest's own digest."""
    text = json.dumps({**facts, "files": listing(folder)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    (folder / SEAL).write_text(f"{sha256.of_file(folder / MANIFEST)}  {MANIFEST}\n")


def listing(folder: Path) -> dict[str, dict[str, Any]]:
    """{relative path: digest and size} of every file but the manifest and its seal."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: {"sha256": sha256.of_file(path), "bytes": path.stat().st_size}
        for name, path in named.items()
        if name not in (MANIFEST, SEAL)
    }


def read(folder: Path, *, older: bool = False) -> dict[str, Any]:
    """The manifest of a bundle, its own digest checked; UsageError for no bundle, IntegrityError for a wrong digest.

    One with another schema is a UsageError too, unless those of `older` edgebuilds will do: they have no parts.
    """
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
        found: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{MANIFEST} cannot be read: {error}", file=str(folder)) from None
    facts = found if isinstance(found, dict) else {}
    if older and facts.get("schema") in _OLDER and isinstance(facts.get("files"), dict):
        return facts
    if isinstance(facts.get("schema"), int) and facts["schema"] != SCHEMA:
        told = (
            f"was made by another edgebuild: its {MANIFEST} has schema {facts['schema']}, and this one reads {SCHEMA}"
        )
        raise UsageError(told, file=str(folder), hint="build it again, or use the edgebuild that made it")
    wrong = [name for name, kind in _NEEDED.items() if not isinstance(facts.get(name), kind)]
    wrong += [] if "parts" in wrong or (facts["parts"] and all(map(_is_part, facts["parts"]))) else ["parts"]
    if wrong:
        raise IntegrityError(
            f"{MANIFEST} is none of edgebuild's: it does not tell {', '.join(wrong)}", file=str(folder)
        )
    return found


def _is_part(told: Any) -> bool:
    return isinstance(told, dict) and all(isinstance(told.get(name), kind) for name, kind in _OF_A_PART.items())


def evidence_of(facts: Mapping[str, Any]) -> Evidence:
    """What was measured of the file that ships."""
    return documents.from_json(Evidence, facts["evidence"], file=MANIFEST, key="evidence")


def verdicts_of(facts: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """What the gates say of it."""
    every = enumerate(facts["verdicts"])
    return tuple(documents.from_json(Verdict, each, file=MANIFEST, key=f"verdicts[{n}]") for n, each in every)


def verify_bundle(folder: Path) -> dict[str, Any]:
    """As `verify`, for what only a bundle will do for; UsageError for a baseline, which is sealed in the same way."""
    if read(folder).get("kind", "bundle") != "bundle":
        raise UsageError("is a baseline, not a bundle", file=str(folder), hint="edgebuild baseline show NAME")
    return verify(folder)


def only(facts: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The part of a bundle that is one file; UsageError for what is an assembly of several."""
    part, *more = facts["parts"]
    if more:
        told = f"is an assembly of {1 + len(more)} files, and this works on a bundle of one"
        raise UsageError(told, file=str(folder))
    found: dict[str, Any] = part
    return found


def model(folder: Path, part: Mapping[str, Any]) -> bytes:
    """The file of a part in a bundle, decoded where it ships coded; IntegrityError if it cannot be."""
    coded = part["coded"]
    if coded is None:
        return Path(folder, part["file"]).read_bytes()
    from edgebuild.travels.decoder import Damaged, decode

    place = folder / coded["file"]
    try:
        content: bytes = decode(place.read_bytes(), coded["bytes"])
    except (Damaged, OSError) as error:
        raise IntegrityError(f"cannot be decoded: {error}", file=str(place)) from None
    if sha256.of_bytes(content) != coded["sha256"]:
        raise IntegrityError("does not give the model file that was built", file=str(place))
    return content


def verify(folder: Path, *, older: bool = False) -> dict[str, Any]:
    """The manifest of a bundle of which every byte is as recorded; IntegrityError names the first file that is not."""
    manifest = read(folder, older=older)
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
    for part in manifest.get("parts", [manifest]):
        if part.get("coded"):
            model(folder, part)
            recorded = recorded | _decoded(part, present)
    for name in sorted({*recorded, *present}):
        if name not in present:
            raise IntegrityError("is missing from the bundle", file=str(folder / name))
        if name not in recorded:
            raise IntegrityError("is in the bundle but not in its manifest", file=str(folder / name))
        if present[name] != recorded[name]:
            raise IntegrityError("is not the file that was built: its digest differs", file=str(folder / name))
    return manifest


def _decoded(part: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The model file as it must be, where first use has left it in the bundle."""
    return {part["file"]: {key: part["coded"][key] for key in ("sha256", "bytes")}} if part["file"] in present else {}
