"""The gates of a target with a model's own budgets in their place, checked before anything runs."""

from __future__ import annotations

from dataclasses import replace

from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Gate, Target


def gates_of(target: Target, model: ModelSpec) -> tuple[Gate, ...]:
    """The target's gates, then budgets on metrics that it has no gate for; UsageError for a wrong metric or limit."""
    budgets = dict(model.declared.budgets.get(target.name, {}))
    gates = []
    for number, gate in enumerate(target.gates):
        own = budgets.pop(gate.metric, None)
        if own is None:
            gates.append(_checked(gate, target.file, f"gates[{number}]"))
        else:
            gates.append(_checked(replace(gate, limit=own), model.file, f"budgets.{target.name}", gate.metric))
    for metric, limit in budgets.items():
        gates.append(_checked(Gate(metric, limit), model.file, f"budgets.{target.name}", metric))
    return tuple(gates)


def _checked(gate: Gate, file: str, key: str, name: str | None = None) -> Gate:
    """The gate, if its metric is known and its limit means something."""
    kind = GATES.get(gate.metric, file=file, key=key if name else f"{key}.metric")
    try:
        kind.limit(gate.limit)
    except ValueError as error:
        raise UsageError(str(error), file=file, key=f"{key}.{name or 'limit'}") from None
    return gate
