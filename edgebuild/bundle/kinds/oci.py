"""A bundle as an OCI image layout, by the media types of the CNCF's ModelPack, for registries and Kubernetes volumes.

https://github.com/modelpack/model-spec (docs/spec.md, config.md, annotations.md); OCI image specification 1.1
(image-layout.md, manifest.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebuild import __version__
from edgebuild.bundle.facts import BundleManifest
from edgebuild.bundle.kind import Contents, Kind

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
_LAYER = "application/vnd.cncf.model.{}.v1.raw"
PATH, _FILE = "org.cncf.model.filepath", "org.cncf.model.file.metadata+json"
_CODE, _DOCUMENTS = (".py",), ("README.md", "requirements.txt")
_MODIFIED = "1980-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Oci(Kind):
    """An OCI image layout (CNCF ModelPack): each file of the bundle is a layer under its own path."""

    def write(self, bundle: Contents, folder: Path) -> None:
        """Write `oci-layout`, `index.json` and `blobs/sha256/`."""
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        layers = [_layer(blobs, name, content, bundle.facts) for name, content in bundle.files().items()]
        config = _blob(blobs, _json(_config(bundle, layers)), CONFIG)
        content = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": ARTIFACT,
            "config": config,
            "layers": layers,
            "annotations": _annotations(bundle),
        }
        described = _blob(blobs, _json(content), MANIFEST) | {
            "artifactType": ARTIFACT,
            "annotations": {"org.opencontainers.image.ref.name": bundle.version.replace("+", "-")},
        }
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [described]}
        (folder / "index.json").write_bytes(_json(index))
        (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))


def _layer(blobs: Path, name: str, content: bytes, facts: BundleManifest) -> dict[str, Any]:
    """A file as a layer without archive or compression, which a reader may fetch alone."""
    about = {"name": name, "mode": 0o644, "uid": 0, "gid": 0, "size": len(content), "mtime": _MODIFIED, "typeflag": 48}
    annotations = {PATH: name, _FILE: json.dumps(about), "org.opencontainers.image.title": name}
    return _blob(blobs, content, _LAYER.format(_role(name, facts))) | {"annotations": annotations}


def _role(name: str, facts: BundleManifest) -> str:
    """What a file is to the model."""
    if any(name == (part.coded.file if part.coded else part.file) for part in facts.parts):
        return "weight"
    if name.endswith(_CODE):
        return "code"
    return "doc" if name in _DOCUMENTS or name.startswith(("evidence/", "sample.")) else "weight.config"


def _config(bundle: Contents, layers: list[dict[str, Any]]) -> dict[str, Any]:
    """The model's configuration; names of files are left to the layers."""
    facts = bundle.facts
    picture = facts.subject.preprocess is not None and facts.subject.preprocess.kind == "image"
    return {
        "descriptor": {
            "name": bundle.name,
            "version": bundle.version,
            "title": f"{facts.subject.model} for {facts.subject.target}",
            "description": bundle.summary,
        },
        "config": {
            "format": facts.format,
            "capabilities": {"inputTypes": ["image" if picture else "other"], "outputTypes": ["other"]},
        }
        | _size(facts),
        "modelfs": {"type": "layers", "diffIds": [layer["digest"] for layer in layers]},
    }


def _size(facts: BundleManifest) -> dict[str, str]:
    """The number of parameters as the specification writes it: a number and K, M, B or T."""
    if facts.evidence.footprint is None:
        return {}
    count = float(facts.evidence.footprint.candidate.parameters)
    for prefix in ("", "K", "M", "B", "T"):
        if count < 1000 and prefix:
            return {"paramSize": f"{count:.1f}{prefix}"}
        count /= 1000
    return {}


def _annotations(bundle: Contents) -> Mapping[str, str]:
    return {
        "org.opencontainers.image.title": bundle.name,
        "org.opencontainers.image.version": bundle.version,
        "org.opencontainers.image.description": bundle.summary,
        "edgebuild.status": bundle.facts.status,
        "edgebuild.bundle": f"sha256:{bundle.digest}",
        "edgebuild.version": __version__,
    }


def _blob(blobs: Path, content: bytes, media_type: str) -> dict[str, Any]:
    """Store content under its digest; its descriptor."""
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
