"""What the steps of this folder share: inputs of parts, in their order, and a base of those that take no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.evidence import RULE, PartRuns, PartsRuns, Rule
from edgebuild.steps.evidence._deployed import RUNS

Document = TypeVar("Document")


@dataclass(frozen=True, slots=True)
class OfParts(Step):
    """Joins the evidence of all parts, by whole numbers and copies alone."""

    parts: tuple[str, ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"


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
