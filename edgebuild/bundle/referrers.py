"""A bundle's signature in a registry: an artifact that refers to the bundle's manifest, which stays as it is.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md, "Pushing Manifests with Subject" and "Listing
Referrers"; a registry of before that has an index under a tag that is made of the digest ("Referrers Tag Schema").
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebuild.bundle import manifest, signature
from edgebuild.bundle.registry import Registry
from edgebuild.spec import sha256
from edgebuild.spec.errors import UsageError

SIGNATURE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_MANIFEST, _INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
_EMPTY, _NOTHING = "application/vnd.oci.empty.v1+json", b"{}"
_MOST = 4 << 20  # bytes of a signature: some digests a file

Descriptor = Mapping[str, Any]


def of(bundle: Path) -> bytes | None:
    """The signature beside a bundle, or None; UsageError for one of another bundle, which it would be pushed with."""
    file = signature.beside(bundle)
    if not file.is_file():
        return None
    content = file.read_bytes()
    if sha256.of_file(bundle / manifest.MANIFEST) not in _signed(content):
        hint = "sign the bundle as it is now (edgebuild sign), or remove the file"
        raise UsageError(f"is no signature of {bundle} as it is now", file=str(file), hint=hint)
    return content


def _signed(content: bytes) -> set[str]:
    """The digests that a signature says it is for; whose it is, is for who pulls it to ask."""
    try:
        envelope = json.loads(content)["dsseEnvelope"]
        resources = json.loads(base64.b64decode(envelope["payload"]))["predicate"]["resources"]
        return {str(each["digest"]) for each in resources}
    except (ValueError, KeyError, TypeError):
        return set()


def attach(registry: Registry, subject: Descriptor, content: bytes) -> None:
    """Put a signature into the registry that refers to the manifest `subject`."""
    layer, nothing = _put(registry, SIGNATURE, content), _put(registry, _EMPTY, _NOTHING)
    about = {key: subject[key] for key in ("mediaType", "digest", "size")}
    artifact = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": SIGNATURE,
        "config": nothing,
        "layers": [layer],
        "subject": about,
    }
    text = json.dumps(artifact, sort_keys=True, separators=(",", ":")).encode()
    described = {**_descriptor(_MANIFEST, text), "artifactType": SIGNATURE}
    if not registry.put_manifest(text, _MANIFEST, described["digest"]):
        _list(registry, subject["digest"], described)


def _put(registry: Registry, kind: str, content: bytes) -> dict[str, Any]:
    described = _descriptor(kind, content)
    registry.put_blob(content, described["digest"])
    return described


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


def _list(registry: Registry, digest: str, described: Descriptor) -> None:
    """Add an artifact to the index of a registry that keeps no list itself, as the last."""
    known = [each for each in _listed(registry, digest) if each.get("digest") != described["digest"]]
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [*known, described]}
    registry.put_manifest(json.dumps(index, sort_keys=True).encode(), _INDEX, _tag(digest))


def _tag(digest: str) -> str:
    return digest.replace(":", "-")


def attached(registry: Registry, digest: str) -> bytes | None:
    """The signature that was put last of those that refer to a manifest; None where there is none.

    IntegrityError for bytes that are not those of their digest. It says nothing yet: anybody may have put it there.
    """
    for each in reversed(_listed(registry, digest)):
        if each.get("artifactType") == SIGNATURE and (content := _content(registry, str(each.get("digest")))):
            return content
    return None


def _content(registry: Registry, digest: str) -> bytes | None:
    text = registry.find(f"manifests/{digest}", _MANIFEST, digest)
    try:
        (layer,) = json.loads(text or b"{}")["layers"]
        name, size = str(layer["digest"]), int(layer["size"])
    except (ValueError, KeyError, TypeError):
        return None
    return registry.blob(name, size) if size <= _MOST else None


def _listed(registry: Registry, digest: str) -> list[Any]:
    """What refers to a manifest: as the registry lists it, or as the index has it that clients keep there."""
    text = registry.find(f"referrers/{digest}", _INDEX) or registry.find(f"manifests/{_tag(digest)}", _INDEX)
    try:
        listed = json.loads(text or b"{}").get("manifests", [])
    except (ValueError, AttributeError):
        return []
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
