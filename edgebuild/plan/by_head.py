"""Which head or output of a model a gate is about: each that has its metric, or the one that it names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from edgebuild.plan.policy import fits
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelFile
from edgebuild.spec.names import suggest
from edgebuild.spec.registry import GATES
from edgebuild.spec.signature import Head
from edgebuild.spec.target import Gate


class Placed(NamedTuple):
    """A gate with the file and key that say so."""

    gate: Gate
    file: str
    key: str


def by_head(gates: Iterable[Placed], declared: ModelFile) -> list[Placed]:
    """Gates on answers for each head that has their metric, where there are several; others as they are.

    UsageError for an `output` that the model has not, or whose answers do not have the metric.
    """
    narrowed = []
    for placed in gates:
        heads, kind, output = declared.heads, GATES.get(placed.gate.metric), placed.gate.output
        if output is not None:
            _refuse_output(placed, declared)
        if kind.tasks is None or (len(heads) == 1 and output is None):
            narrowed.append(placed)
            continue
        having = [head for head in heads if fits(placed.gate.metric, head.task) and _is_of(head, output, declared)]
        narrowed += [placed._replace(gate=replace(placed.gate, output=head.name)) for head in having]
    return narrowed


def _is_of(head: Head, output: str | None, declared: ModelFile) -> bool:
    """Whether a head is meant by an output, its own name or one that it reads; None means any."""
    return output is None or output in (head.name, *(spec.name for spec in declared.signature.of(head)))


def _refuse_output(placed: Placed, declared: ModelFile) -> None:
    gate, key = placed.gate, f"{placed.key.rpartition('.')[0]}.output"
    kind = GATES.get(gate.metric)
    outputs = [spec.name for spec in declared.signature.outputs]
    if kind.tasks is None and not kind.by_output:
        raise UsageError(f"{gate.metric!r} is about no output", file=placed.file, key=key, hint="leave output out")
    if kind.by_output:
        known = outputs
    else:
        known = [head.name for head in declared.heads if fits(gate.metric, head.task)]
        known += [name for name in outputs if any(_is_of(h, name, declared) for h in declared.heads if h.name in known)]
    if gate.output not in known:
        what = "output" if gate.output not in outputs else f"output with the metric {gate.metric!r}"
        hint = suggest(str(gate.output), dict.fromkeys(known))
        raise UsageError(f"the model has no {what} {gate.output!r}", file=placed.file, key=key, hint=hint)
