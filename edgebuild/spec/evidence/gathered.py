"""All evidence on one file, by kind, as the judge, the gates and the reports take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from edgebuild.spec import documents
from edgebuild.spec.documents import named
from edgebuild.spec.errors import StepError
from edgebuild.spec.evidence.answers import Accuracy, Agreement, Scores
from edgebuild.spec.evidence.cuts import Cuts
from edgebuild.spec.evidence.joined import Joined
from edgebuild.spec.evidence.parity import Parity, SourceParity
from edgebuild.spec.evidence.proof import Proof
from edgebuild.spec.evidence.timing import AllProcesses, Estimated, Latencies, Predicted, Processes, Timed
from edgebuild.spec.evidence.verdict import Status, Verdict
from edgebuild.spec.evidence.work import Arena, Footprint

FILE = "evidence.json"  # in the folder of every step that measures
VERDICTS = "verdicts.json"  # in the judge's

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence by kind; None where nothing of the kind was gathered.

    `host_latency` is this machine's time beside a prediction, `baseline_agreement` the float file's on a device.
    """

    accuracy: Accuracy | None = field(default=None, metadata=named("accuracy"))
    agreement: Agreement | None = field(default=None, metadata=named("agreement"))
    arena: Arena | None = field(default=None, metadata=named("arena"))
    baseline_agreement: Agreement | None = field(default=None, metadata=named("baseline-agreement"))
    cuts: Cuts | None = field(default=None, metadata=named("cuts"))
    footprint: Footprint | None = field(default=None, metadata=named("footprint"))
    host_latency: Timed | None = field(default=None, metadata=named("host-latency"))
    joined: Joined | None = field(default=None, metadata=named("joined"))
    latency: Timed | Predicted | Estimated | None = field(default=None, metadata=named("latency"))
    parity: Parity | None = field(default=None, metadata=named("parity"))
    processes: Processes | None = field(default=None, metadata=named("processes"))
    proof: Proof | None = field(default=None, metadata=named("proof"))
    scores: Scores | None = field(default=None, metadata=named("scores"))
    source_parity: SourceParity | None = field(default=None, metadata=named("source-parity"))


def of_output(evidence: Evidence, name: str | None) -> Evidence:
    """The evidence on one head or output alone, as if the model had no other; all of it for None."""
    if name is None:
        return evidence
    accuracy, scores, parity = evidence.accuracy, evidence.scores, evidence.parity
    source = evidence.source_parity
    return replace(
        evidence,
        accuracy=accuracy and replace(accuracy, heads=_only(accuracy.heads, name)),
        scores=scores and replace(scores, heads=_only(scores.heads, name)),
        parity=parity and _parity(parity, name),
        source_parity=source and replace(source, outputs=_only(source.outputs, name)),
    )


def _parity(parity: Parity, name: str) -> Parity:
    device = parity.device and replace(parity.device, outputs=_only(parity.device.outputs, name))
    return replace(parity, outputs=_only(parity.outputs, name), device=device)


def _only(parts: Mapping[str, Kind], name: str) -> Mapping[str, Kind]:
    """The part of this name; all where there is none, for what a gate reads is told by its metric."""
    return {name: parts[name]} if name in parts else parts


_ALONE: Mapping[str, type] = {
    "accuracy": Accuracy,
    "agreement": Agreement,
    "arena": Arena,
    "baseline-agreement": Agreement,
    "cuts": Cuts,
    "footprint": Footprint,
    "joined": Joined,
    "parity": Parity,
    "proof": Proof,
    "scores": Scores,
    "source-parity": SourceParity,
}


def gather(folders: Mapping[str, Path], name: str) -> Evidence:
    """All evidence on the format `name` in folders by role: `kind/format`, or `kind` for what is about all formats."""
    kinds: dict[str, Any] = {}
    for role, folder in folders.items():
        kind, _, of = role.partition("/")
        if of == name:
            kinds[_kind(kind)] = documents.read(_ALONE[kind], folder / FILE)
        elif not of:
            shared: type[AllProcesses] | type[Latencies] = AllProcesses if kind == "processes" else Latencies
            kinds[_kind(kind)] = documents.read(shared, folder / FILE).formats[name]
    return Evidence(**kinds)


def known(evidence: Kind | None) -> Kind:
    """Evidence that a metric cannot do without; StepError where the plan gathered none of the kind."""
    if evidence is None:
        raise StepError("the plan gathered no evidence of the kind that a gate is about")
    return evidence


def _kind(role: str) -> str:
    return role.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts on one file, the evidence that they rest on, and the status that follows."""

    status: Status
    verdicts: tuple[Verdict, ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the judge says of every format, the one to ship, and the status of that."""

    status: Status
    format: str
    formats: Mapping[str, Judged]

    @property
    def shipped(self) -> Judged:
        """The format to ship."""
        return self.formats[self.format]
