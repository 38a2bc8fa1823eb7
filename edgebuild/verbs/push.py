"""Pushes a bundle into a registry as its OCI package, and pulls it back: the digest says that it is the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edgebuild.bundle import manifest, referrers, signature
from edgebuild.bundle.kinds import oci
from edgebuild.bundle.registry import Place, Registry
from edgebuild.engine import files, owned
from edgebuild.engine.store import disk_error
from edgebuild.spec.errors import IntegrityError, UsageError
from edgebuild.verbs._released import copied
from edgebuild.verbs.sign import put


@dataclass(frozen=True, slots=True)
class Moved:
    """A bundle that is in a registry and here: where, by digest, with which status, and how many bytes it has."""

    bundle: Path
    reference: str
    status: str
    bytes: int


def push(bundle: Path, reference: str, release: str | None, *, unreleased: bool, plain: bool) -> Moved:
    """Put a bundle's OCI package under a tag, and beside it the signature that lies beside the bundle.

    What the registry has already is not sent. UsageError for what it refuses and for a signature of another bundle,
    DeviceError where it cannot be reached, Unreleased for no release.
    """
    with copied(bundle, release, unreleased=unreleased) as (contents, scratch):
        signed = referrers.of(bundle)
        registry = Registry(Place.parse(reference), plain)
        (package := scratch / "package").mkdir()
        oci.Oci().write(contents, package)
        described = json.loads((package / "index.json").read_text())["manifests"][0]
        tag = registry.place.tag or described["annotations"]["org.opencontainers.image.ref.name"]
        content = _blob(package, described).read_bytes()
        blobs = _blobs(json.loads(content))
        for each in blobs:
            registry.put_blob(_blob(package, each).read_bytes(), each["digest"])
        registry.put_manifest(content, oci.MANIFEST, tag)
        if signed is not None:
            referrers.attach(registry, described, signed)
        total = sum(each["size"] for each in blobs)
        return Moved(bundle, registry.place.pinned(described["digest"]), contents.facts.status, total)


def pull(reference: str, out: Path, *, plain: bool) -> Moved:
    """Put a bundle from a registry into a folder, in the place of another bundle, once every byte is checked.

    Its signature, where the registry has one, goes beside it: `verify` asks whose it is. IntegrityError for bytes that
    are not those of their digest, and for what is no whole bundle.
    """
    owned.check_replaceable(out, manifest.MANIFEST)
    registry = Registry(Place.parse(reference), plain)
    content, digest = registry.manifest(oci.MANIFEST)
    with tempfile.TemporaryDirectory(prefix="edgebuild-pull-") as scratch:
        folder, total = Path(scratch) / "bundle", 0
        for name, layer in _layers(content, registry.place.pinned(digest)):
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(registry.blob(layer["digest"], layer["size"]))
            total += layer["size"]
        facts = manifest.verify_bundle(folder)
        signed = referrers.attached(registry, digest)
        try:
            files.publish_tree(folder, out)
        except OSError as error:
            raise disk_error(error, out) from None
        if signed is not None:
            put(signed, signature.beside(out))
    return Moved(out, registry.place.pinned(digest), facts.status, total)


def _blob(package: Path, descriptor: Mapping[str, Any]) -> Path:
    return package / "blobs" / "sha256" / str(descriptor["digest"]).removeprefix("sha256:")


def _blobs(content: Mapping[str, Any]) -> list[Any]:
    return [*content["layers"], content["config"]]


def _layers(content: bytes, shown: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The layers of a manifest by the path of each; IntegrityError for what is no bundle or leaves its folder."""
    try:
        described = json.loads(content)
        layers = {layer["annotations"][oci.PATH]: layer for layer in described["layers"]}
        artifact = described["artifactType"]
        sound = all(isinstance(each["size"], int) and isinstance(each["digest"], str) for each in layers.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError("is no bundle", file=shown) from None
    if artifact != oci.ARTIFACT or not sound:
        raise UsageError("is no bundle", file=shown)
    for name, layer in layers.items():
        path = PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts or str(path) != name or "\\" in name:
            raise IntegrityError(f"has a file that leaves its folder: {name!r}", file=shown)
        yield name, layer
