"""What a manifest says: of a bundle, of a baseline, and what both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgebuild.bundle.commit import Commit
from edgebuild.spec.artifact import Record
from edgebuild.spec.decoder import Decoder
from edgebuild.spec.documents import named
from edgebuild.spec.evidence import Evidence, Status, Verdict
from edgebuild.spec.preprocess import Preprocess
from edgebuild.spec.signature import Element, Head, Scores, Signature, State
from edgebuild.spec.target import Fidelity, Runtime, Soc

Standing = Literal["released", "candidate", "withdrawn"]
Fingerprints = Mapping[str, Mapping[str, str]]  # by kind of evidence


@dataclass(frozen=True, slots=True)
class Subject:
    """What a bundle is about: the target and the model, as they were declared; `ram` is in bytes."""

    target: str
    target_description: str
    cpu: str
    model: str
    model_description: str
    signature: Signature
    heads: tuple[Head, ...]
    preprocess: Preprocess | None
    sample: int
    ram: int | None = field(default=None, metadata=named("ram"))
    socs: tuple[Soc, ...] = ()


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
class Port:
    """A tensor as a caller must know it: its layout (None: as in PyTorch), its shape in that with the batch of 1."""

    name: str
    layout: str | None
    shape: tuple[int, ...]
    dtype: Element
    meaning: str = ""
    state: State | None = field(default=None, metadata=named("state"))


@dataclass(frozen=True, slots=True)
class ShownHead:
    """A head for who reads answers: its outputs, what their values are, and how `run.py` shows them."""

    name: str
    task: str
    outputs: tuple[int, ...]
    show: str
    labels: tuple[str, ...] = ()
    decoder: Decoder | None = field(default=None, metadata=named("decoder"))
    scores: Scores | None = field(default=None, metadata=named("scores"))


@dataclass(frozen=True, slots=True)
class ShippedPart:
    """A model file of the bundle, what opens it and how it is run; `coded` where its download is in its place."""

    name: str
    file: str
    loader: str
    runtime: Runtime
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    coded: Coded | None = None


@dataclass(frozen=True, slots=True)
class Golden:
    """A file of inputs and of the answers to them (`golden.py`), so many examples, and how far each output's values may
    be off.
    """

    file: str
    examples: int
    tolerance: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Routed:
    """One tensor's values go into another: each is a part's name and its tensor's; None is the whole."""

    source: tuple[str | None, str] = field(metadata=named("from"))
    target: tuple[str | None, str] = field(metadata=named("to"))


@dataclass(frozen=True, slots=True)
class Router:
    """What decides which parts of the bundle run: its kind, the program, and the numbers that this goes by."""

    use: str
    program: str
    rule: Mapping[str, float]


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
    origin: str | None = field(default=None, metadata=named("from"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What bundles and baselines have.

    `parts` are the model files in the order in which they are run, `routing` says what goes from where to where, and
    `router` what decides which of them run; `files` are all others of the folder, `sources` digests of what a gate
    needs.
    """

    edgebuild: str
    status: Standing
    subject: Subject
    format: str
    parts: tuple[ShippedPart, ...]
    routing: tuple[Routed, ...]
    evidence: Evidence
    verdicts: tuple[Verdict, ...]
    sources: Mapping[str, str]
    fingerprints: Fingerprints
    router: Router | None = field(default=None, metadata=named("router"))
    files: Mapping[str, File] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleManifest(Manifest):
    """A bundle's: how it was made step by step, and what a gate has said since; `built` is what the build had said."""

    kind: Literal["bundle"] = "bundle"
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    heads: tuple[ShownHead, ...]
    formats: Mapping[str, Status]
    dropped: tuple[str, ...]
    notes: tuple[str, ...]
    provenance: tuple[Record, ...]
    golden: Golden | None = field(default=None, metadata=named("golden"))
    gate: Gate | None = field(default=None, metadata=named("gate"))
    built: Judged | None = field(default=None, metadata=named("built"))


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineManifest(Manifest):
    """A baseline's: when it was set, at which commit, and the digest of its bundle's manifest."""

    kind: Literal["baseline"] = "baseline"
    set: str
    commit: Commit | None
    bundle: str


@dataclass(frozen=True, slots=True)
class OlderManifest:
    """What schema 1 has in common with ours: a status, the digests of all files, and one model file."""

    status: str
    files: Mapping[str, File]
    file: str = ""
    coded: Coded | None = None
