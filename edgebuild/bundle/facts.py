"""What a manifest says: of a bundle, of a baseline, and what both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgebuild.bundle.commit import Commit
from edgebuild.spec.artifact import Record
from edgebuild.spec.documents import optional
from edgebuild.spec.evidence import Evidence, Status, Verdict
from edgebuild.spec.model import ImageInput, Task, TensorSpec
from edgebuild.spec.target import Fidelity, Runtime

Standing = Literal["released", "candidate", "withdrawn"]
Fingerprints = Mapping[str, Mapping[str, str]]  # by kind of evidence


@dataclass(frozen=True, slots=True)
class Subject:
    """What a bundle is about: the target and the model, as they were declared."""

    target: str
    target_description: str
    cpu: str
    model: str
    model_description: str
    labels: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    preprocess: ImageInput | None
    sample: int
    task: Task = "classification"
    outputs: int | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file of the folder as it must be."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Coded:
    """The download that ships in the model file's place, its decoder, and the model file that comes out."""

    file: str
    decoder: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class InputPort:
    """An input as a caller of the file must know it: its layout (None: as in PyTorch), its shape for a batch of 1."""

    name: str
    layout: str | None
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OutputPort:
    """The layout of an output; None as in PyTorch."""

    layout: str | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said of the file, on what evidence, and on what machines that was measured."""

    status: Standing
    verdicts: tuple[Verdict, ...]
    evidence: Evidence
    fingerprints: Fingerprints


@dataclass(frozen=True, slots=True)
class Compared:
    """The verdicts of a gate's comparison with one other file."""

    against: str
    status: Status
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate that has judged a finished bundle: when, at which commit, on which device; `origin` is that bundle's."""

    time: str
    commit: Commit | None
    device: str
    fidelity: Fidelity
    fingerprint: Mapping[str, str]
    comparisons: tuple[Compared, ...]
    origin: str | None = field(default=None, metadata=optional("from"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What bundles and baselines have; `files` are all others of the folder, `sources` digests of what a gate needs."""

    edgebuild: str
    status: Standing
    subject: Subject
    runtime: Runtime
    file: str
    evidence: Evidence
    verdicts: tuple[Verdict, ...]
    sources: Mapping[str, str]
    fingerprints: Fingerprints
    files: Mapping[str, File] = field(default_factory=dict)

    @property
    def format(self) -> str:
        """The format of the file."""
        return self.runtime.format


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleManifest(Manifest):
    """A bundle's: how it was made step by step, and what a gate has said since; `built` is what the build had said."""

    kind: Literal["bundle"] = "bundle"
    inputs: tuple[InputPort, ...]
    outputs: tuple[OutputPort, ...]
    loader: str
    formats: Mapping[str, Status]
    dropped: tuple[str, ...]
    notes: tuple[str, ...]
    provenance: tuple[Record, ...]
    coded: Coded | None = None
    gate: Gate | None = field(default=None, metadata=optional("gate"))
    built: Judged | None = field(default=None, metadata=optional("built"))


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineManifest(Manifest):
    """A baseline's: when it was set, at which commit, and the digest of its bundle's manifest."""

    kind: Literal["baseline"] = "baseline"
    set: str
    commit: Commit | None
    bundle: str
