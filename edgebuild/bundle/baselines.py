"""Baselines: what later candidates are compared with, as plain sealed files that can be committed or shared.

A baseline has the released file itself, or all files of an assembly, because they are run again beside every candidate:
`artifact/`. Beside it lie the float model that its gates refer to (`reference/`), where wanted the held-out examples
(`data/`), and the bundle's evidence: raw samples, counted work, which examples were right. Stored times are never
compared with new ones; they only tell when the machine has changed.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgebuild import __version__
from edgebuild.bundle import commit, manifest
from edgebuild.bundle.commit import Commit
from edgebuild.bundle.facts import BaselineManifest, BundleManifest, ShippedPart
from edgebuild.engine import files, owned
from edgebuild.engine.store import Store, disk_error
from edgebuild.spec import dataset, documents, sha256
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.errors import EdgebuildError, UsageError
from edgebuild.spec.names import suggest

FOLDER = "baselines"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline of which every digest was checked: its folder, and what its manifest says. A bundle may stand for one
    that was kept without anything else.
    """

    name: str
    folder: Path
    facts: BaselineManifest | BundleManifest

    @property
    def target(self) -> str:
        """The target that it was built for."""
        return self.facts.subject.target

    @property
    def model(self) -> str:
        """The model that it is a build of."""
        return self.facts.subject.model

    @property
    def format(self) -> str:
        """The format of its file."""
        return self.facts.format

    @property
    def set(self) -> str:
        """When it was set; a bundle was not."""
        return self.facts.set if isinstance(self.facts, BaselineManifest) else ""

    @property
    def commit(self) -> Commit | None:
        """At which commit it was set."""
        return self.facts.commit if isinstance(self.facts, BaselineManifest) else None

    def file(self, part: ShippedPart) -> bytes:
        """One of its model files; IntegrityError for a download that cannot be decoded."""
        if isinstance(self.facts, BundleManifest):
            return manifest.model(self.folder, part)
        return Path(self.folder, "artifact", part.file).read_bytes()

    def part(self, role: str) -> Path | None:
        """The folder `artifact`, `reference` or `data`; None where the baseline was kept without it."""
        folder = self.folder / role
        return folder if folder.is_dir() else None


def names(folder: Path) -> list[str]:
    """The baselines in a folder, sorted; an absent folder has none."""
    sealed = sorted(path.parent.name for path in folder.glob(f"*/{manifest.MANIFEST}"))
    return [name for name in sealed if _NAME.fullmatch(name)]


def read(folder: Path, name: str) -> Baseline:
    """The baseline of this name, or in the folder that `name` is the path of; every digest is checked.

    UsageError when there is none, IntegrityError when a file is not what it was.
    """
    baseline = release(folder, name)
    if not isinstance(baseline.facts, BaselineManifest):
        place = baseline.folder
        raise UsageError("is a bundle, not a baseline", file=str(place), hint=f"edgebuild baseline set {place}")
    return baseline


def release(folder: Path, name: str) -> Baseline:
    """The same, or the bundle in the folder that `name` is the path of."""
    place = folder / name if _NAME.fullmatch(name) else Path(name)
    if not (place / manifest.MANIFEST).is_file():
        known = names(folder)
        hint = suggest(name, known) if known else "edgebuild baseline set BUNDLE"
        raise UsageError(f"there is no baseline {name!r}", file=str(folder), hint=hint)
    facts = manifest.verify(place)
    return Baseline(place.resolve().name if isinstance(facts, BaselineManifest) else name, place, facts)


def survey(folder: Path) -> list[Baseline | EdgebuildError]:
    """Every baseline of a folder, or why it cannot be used."""
    surveyed: list[Baseline | EdgebuildError] = []
    for name in names(folder):
        try:
            surveyed.append(read(folder, name))
        except EdgebuildError as error:
            surveyed.append(error)
    return surveyed


def keep(bundle: Path, folder: Path, store: Store, root: Path, name: str | None, *, data: bool) -> Baseline:
    """Make a baseline of a bundle, in the place of an older one of the same name.

    The float model, and with `data` the held-out examples, come from the store that the bundle was built in.
    UsageError for a name that is none, and where the store does not have them any more.
    """
    built = manifest.verify_bundle(bundle)
    name = name or f"{built.subject.target}-{built.subject.model}"
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a name: letters, digits, dots, dashes", key="--name")
    owned.check_replaceable(folder / name, manifest.MANIFEST)
    with tempfile.TemporaryDirectory(prefix="edgebuild-baseline-") as scratch:
        _fill(Path(scratch), bundle, built, store, data=data)
        manifest.seal(Path(scratch), _facts(built, bundle, root))
        try:
            files.publish_tree(Path(scratch), folder / name)
        except OSError as error:
            raise disk_error(error, folder) from None
    return read(folder, name)


def _facts(built: BundleManifest, bundle: Path, root: Path) -> BaselineManifest:
    return BaselineManifest(
        edgebuild=__version__,
        status=built.status,
        subject=built.subject,
        format=built.format,
        parts=built.parts,
        routing=built.routing,
        router=built.router,
        evidence=built.evidence,
        verdicts=built.verdicts,
        sources=built.sources,
        fingerprints=built.fingerprints,
        set=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit.at(root),
        bundle=sha256.of_file(bundle / manifest.MANIFEST),
    )


def _fill(scratch: Path, bundle: Path, built: BundleManifest, store: Store, *, data: bool) -> None:
    (scratch / "artifact").mkdir()
    for part in built.parts:
        (scratch / "artifact" / part.file).write_bytes(manifest.model(bundle, part))
    shutil.copytree(bundle / "evidence", scratch / "evidence", copy_function=shutil.copyfile)
    reference = _stored(store, built.format, built.sources["baseline"], "the float model", bundle)
    shutil.copytree(reference, scratch / "reference", copy_function=shutil.copyfile)
    if data:
        (scratch / "data").mkdir()
        stored = _stored(store, "data", built.sources["data"], "the held-out examples", bundle)
        for path in (stored / dataset.DESCRIPTION, *stored.glob("test.*.npy")):
            shutil.copyfile(path, scratch / "data" / path.name)


def _stored(store: Store, kind: str, digest: str, what: str, bundle: Path) -> Path:
    artifact = Artifact(kind, digest)
    if not store.holds(artifact):
        reason = f"{what} that it was compared with is not in {store.root}"
        raise UsageError(reason, file=str(bundle), hint="run this where it was built, or build it here again")
    return store.path(artifact)


def samples(baseline: Baseline, role: str, fingerprint: Mapping[str, str]) -> list[float]:
    """Seconds, one a process, that a role's file took when the baseline was scratch; empty on any other device."""
    if dict(baseline.facts.fingerprints.get("latency", {})) != dict(fingerprint):
        return []
    latency = baseline.facts.evidence.latency
    if latency is None:
        return []
    return list(latency.candidate_seconds if role == "candidate" else latency.baseline_seconds)


def differing(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """The keys in which two fingerprints differ."""
    return sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))


def to_json(baseline: Baseline) -> dict[str, Any]:
    """The baseline as plain data: its manifest, whose parts are its `models`, and which `parts` it was kept with."""
    parts = {role: baseline.part(role) is not None for role in ("artifact", "reference", "data")}
    facts: dict[str, Any] = documents.to_json(baseline.facts)
    return facts | {"name": baseline.name, "folder": str(baseline.folder), "parts": parts, "models": facts["parts"]}
