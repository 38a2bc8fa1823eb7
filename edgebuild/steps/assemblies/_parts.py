"""What the steps of this folder share: inputs of parts, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.evidence import RULE, PartRuns, PartsRuns, Rule

RUNS, TIMES = "runs.json", "parts.json"

Document = TypeVar("Document")


def role(kind: str, part: str) -> str:
    """What a step calls its input of this kind from a part."""
    return f"{kind}/{part}"


def read_rule(io: StepIO) -> Rule:
    """What decides which parts answer."""
    return documents.read(Rule, io.path("rule") / RULE)


def read_runs(io: StepIO) -> dict[str, PartRuns]:
    """How often each part ran, from the outputs of the whole."""
    return dict(documents.read(PartsRuns, io.path("runs") / RUNS).parts)


def read_all(kind: type[Document], io: StepIO, name: str, parts: Sequence[str]) -> list[Document]:
    """The evidence of each part, in their order."""
    return [documents.read(kind, io.path(role(name, part)) / evidence.FILE) for part in parts]
