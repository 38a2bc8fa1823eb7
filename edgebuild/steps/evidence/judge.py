"""Holds all evidence of a model on a target against its gates, and chooses the format to ship."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from edgebuild.gates._remedies import remedy
from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.evidence import Evidence, Judged, Status, Verdict, Verdicts, combine, known
from edgebuild.spec.metric import Tried
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence import _deployed

_FILES = ("candidate", "baseline")
_RANK: dict[Status, int] = {"pass": 0, "inconclusive": 1, "fail": 2}


@dataclass(frozen=True, slots=True)
class Judge(Step):
    """Inputs: `accuracy/<format>`, `footprint/<format>`, `parity/<format>`, `latency` for all formats, and both files
    of each, `candidate/<format>` and `baseline/<format>` (of an assembly `…/<part>` of each, and `…/rule`): what is its
    own baseline has changed nothing.

    The shipped file is the best `of` so many; the gates' confidence allows for it (`plan/limits.py`), verdicts tell it.
    The name of the `recipe`, its `steps` and those that `failed` before it, and whether the model is a module, or what
    `instead` would be one, are for what is said to whom a gate stops.
    """

    gates: tuple[Gate, ...]
    formats: tuple[str, ...]
    of: int = 1
    recipe: str | None = None
    steps: tuple[str, ...] = ()
    trainable: bool = True
    instead: str = ""
    failed: tuple[str, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "verdicts"
    needs: ClassVar[tuple[str, ...]] = ("latency",)
    tools: ClassVar[tuple[str, ...]] = ("scipy",)

    def run(self, io: StepIO) -> None:
        """Write `verdicts.json`: per format its verdicts and status, the format to ship, and the build's status."""
        judged = {name: self._of_one(io, name) for name in self.formats}
        chosen = min(self.formats, key=lambda name: (_RANK[judged[name].status], _speed(judged[name].evidence)))
        documents.write(io.output / evidence.VERDICTS, Verdicts(judged[chosen].status, chosen, judged))

    def _of_one(self, io: StepIO, name: str) -> Judged:
        """The verdicts on one format, with all evidence: what is about it alone, and its part of what is about all."""
        gathered = evidence.gather(_folders(io), name)
        verdicts = self.judge(gathered, identical=_identical(io, name))
        return Judged(combine([verdict.status for verdict in verdicts]), tuple(verdicts), gathered)

    def judge(self, gathered: Evidence, *, identical: bool = False) -> list[Verdict]:
        """A verdict for every gate on the evidence of one format, whose candidate may be the baseline's very file."""
        return [self._judged(gate, gathered, identical=identical) for gate in self.gates]

    def _judged(self, gate: Gate, gathered: Evidence, *, identical: bool) -> Verdict:
        exact = _by_identity(gate) if identical else None
        narrowed = evidence.of_output(gathered, gate.output)
        verdict = exact or self._of_best(GATES.get(gate.metric)().judge(gate, narrowed))
        tried = Tried(self.recipe, self.steps, self.trainable, self.instead, self.failed)
        return replace(verdict, next=remedy(gate, verdict, narrowed, tried), output=gate.output or "")

    def _of_best(self, verdict: Verdict) -> Verdict:
        """The verdict, which says so where the file that ships is the best of several."""
        if self.of == 1 or verdict.confidence is None:
            return verdict
        note = f"; at {100 * verdict.confidence:.4g} % confidence, as the best of {self.of} files ships"
        return replace(verdict, reason=verdict.reason + note)


def _folders(io: StepIO) -> dict[str, Path]:
    """All evidence by role."""
    return {role: item.path for role, item in io.inputs.items() if role.partition("/")[0] not in _FILES}


def _speed(gathered: Evidence) -> float:
    return known(gathered.latency).speed


def _identical(io: StepIO, name: str) -> bool:
    ours, theirs = (
        {part: item.digest for part, item in _deployed.files(io, f"{role}/{name}").items()} for role in _FILES
    )
    return bool(ours) and ours == theirs


def _by_identity(gate: Gate) -> Verdict | None:
    """The verdict on a file that is its own baseline: exact, on any machine; None for limits that are on no change."""
    inside = GATES.get(gate.metric).unchanged(gate.limit)
    if inside is None:
        return None
    reason = "the file is the one that it is compared with, byte for byte: nothing changed"
    return Verdict(
        gate.metric, gate.limit, "change", "pass" if inside else "fail", reason, "hardware", 1, 0.0, 0.0, 0.0
    )
