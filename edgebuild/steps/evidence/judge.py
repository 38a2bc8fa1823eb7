"""Holds all evidence of a model on a target against its gates, and chooses the format to ship."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from edgebuild.gates._remedies import Tried, remedy
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.evidence import Status, Verdict, combine
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Gate

_FILES = ("candidate", "baseline")
_RANK: dict[Status, int] = {"pass": 0, "inconclusive": 1, "fail": 2}


@dataclass(frozen=True, slots=True)
class Judge:
    """Inputs: `accuracy/<format>`, `footprint/<format>`, `parity/<format>`, `latency` for all formats, and both files
    of each, `candidate/<format>` and `baseline/<format>`: one that is its own baseline has changed nothing.

    The shipped file is the best `of` so many; the gates' confidence allows for it (`plan/limits.py`), verdicts tell it.
    The name of the `recipe` and its `steps` are for what is said to whom a gate stops.
    """

    gates: tuple[Gate, ...]
    formats: tuple[str, ...]
    of: int = 1
    recipe: str | None = None
    steps: tuple[str, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "verdicts"
    needs: ClassVar[tuple[str, ...]] = ("latency",)
    tools: ClassVar[tuple[str, ...]] = ("scipy",)
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `verdicts.json`: per format its verdicts and status, the format to ship, and the build's status."""
        evidence = {name: self._gather(io, name) for name in self.formats}
        verdicts = {name: self.judge(found, identical=_identical(io, name)) for name, found in evidence.items()}
        statuses = {name: combine([v.status for v in given]) for name, given in verdicts.items()}
        chosen = min(self.formats, key=lambda name: (_RANK[statuses[name]], evidence[name]["latency"]["speed"]))
        found = {
            "status": statuses[chosen],
            "format": chosen,
            "formats": {
                name: {
                    "status": statuses[name],
                    "verdicts": [verdict.to_json() for verdict in verdicts[name]],
                    "evidence": evidence[name],
                }
                for name in self.formats
            },
        }
        (io.output / "verdicts.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

    def judge(self, evidence: dict[str, Any], *, identical: bool = False) -> list[Verdict]:
        """A verdict for every gate on the evidence of one format, whose candidate may be the baseline's very file."""
        return [self._judged(gate, evidence, identical=identical) for gate in self.gates]

    def _judged(self, gate: Gate, evidence: dict[str, Any], *, identical: bool) -> Verdict:
        exact = _by_identity(gate) if identical else None
        verdict: Verdict = exact or self._told(GATES.get(gate.metric)().judge(gate, evidence))
        return replace(verdict, next=remedy(gate, verdict, evidence, Tried(self.recipe, self.steps)))

    def _told(self, verdict: Verdict) -> Verdict:
        if self.of == 1 or verdict.confidence is None:
            return verdict
        said = f"; at {100 * verdict.confidence:.4g} % confidence, as the best of {self.of} files ships"
        return replace(verdict, reason=verdict.reason + said)

    def _gather(self, io: StepIO, name: str) -> dict[str, Any]:
        """All evidence on one format: what is about it alone, and its part of what is about all formats."""
        found = {}
        for role, item in io.inputs.items():
            kind, _, of = role.partition("/")
            if kind in _FILES:
                continue
            evidence = json.loads((item.path / "evidence.json").read_text())
            if of == name:
                found[kind] = evidence
            elif not of:
                shared = {key: value for key, value in evidence.items() if key != "formats"}
                found[kind] = shared | evidence["formats"][name]
        return found


def _identical(io: StepIO, name: str) -> bool:
    ours, theirs = (io.inputs.get(f"{role}/{name}") for role in _FILES)
    return ours is not None and theirs is not None and ours.digest == theirs.digest


def _by_identity(gate: Gate) -> Verdict | None:
    """The verdict on a file that is its own baseline: exact, on any machine; None for limits that are on no change."""
    kind = GATES.get(gate.metric)
    inside = kind.unchanged(gate.limit) if hasattr(kind, "unchanged") else None
    if inside is None:
        return None
    reason = "the file is the one that it is compared with, byte for byte: nothing changed"
    return Verdict(
        gate.metric, gate.limit, "change", "pass" if inside else "fail", reason, "hardware", 1, 0.0, 0.0, 0.0
    )
