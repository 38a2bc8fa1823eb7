"""The gates of a target with a model's own budgets in their place, checked before anything runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any, NamedTuple

from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec, Task
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import FIDELITIES, Gate, Target, Timing, reaches


class _Placed(NamedTuple):
    """A gate with the file and key that say so."""

    gate: Gate
    file: str
    key: str


def gates_of(target: Target, model: ModelSpec) -> tuple[Gate, ...]:
    """The target's gates, the model's budgets in the place of their limits, then budgets on further metrics.

    UsageError for a wrong metric or limit, for a metric that the model's answers do not have, for a limit that
    `timing` can never decide, for one that says nothing beside another, and for a budget that might replace either
    of two gates.
    """
    budgets = dict(model.declared.budgets.get(target.name, {}))
    gates = []
    for number, gate in enumerate(target.gates):
        _refuse_unfit(gate.metric, model, target.file, f"gates[{number}].metric")
        if gate.metric in budgets:
            _refuse_ambiguous(gate.metric, target, model)
            own = replace(gate, limit=budgets.pop(gate.metric))
            gates.append(_checked(own, model.file, f"budgets.{target.name}", gate.metric))
        else:
            gates.append(_checked(gate, target.file, f"gates[{number}]"))
    for metric, limit in budgets.items():
        _refuse_unfit(metric, model, model.file, f"budgets.{target.name}")
        gates.append(_checked(Gate(metric, limit), model.file, f"budgets.{target.name}", metric))
    for placed in gates:
        _refuse_unmeasurable(placed, target.timing)
    for placed, other in permutations(gates, 2):
        _refuse_needless(placed, other)
    return tuple(placed.gate for placed in gates)


def regressions_of(target: Target, model: ModelSpec) -> tuple[Gate, ...]:
    """The gates between a candidate and an earlier release.

    What the target declares as `regressions`; else, for each of its gates, the metric's usual limit between two
    releases, with the gate's own confidence and fidelity. UsageError as `gates_of`, and where there is none.
    """
    usual = dict.fromkeys(
        replace(gate, limit=GATES.get(gate.metric).regression)
        for gate in target.gates
        if hasattr(GATES.get(gate.metric), "regression")
    )
    gates = [_checked(gate, target.file, f"regressions[{n}]") for n, gate in enumerate(target.regressions or usual)]
    if not gates:
        hint = "declare [[regressions]]"
        raise UsageError("has no gate that holds between two releases", file=target.file, hint=hint)
    for placed in gates:
        _refuse_unfit(placed.gate.metric, model, placed.file, placed.key)
        _refuse_unmeasurable(placed, target.timing)
    return tuple(placed.gate for placed in gates)


def stopping(gates: tuple[Gate, ...], evidence: str) -> tuple[Gate, ...]:
    """The gates that a measurement of this kind must settle; what they ask of its fidelity does not matter to it."""
    asking = (gate for gate in gates if _asks(gate) == evidence)
    return tuple(dict.fromkeys(replace(gate, fidelity=FIDELITIES[0]) for gate in asking))


def resampled(gates: tuple[Gate, ...], task: Task) -> tuple[tuple[str, float], ...]:
    """Metrics that need the paired bootstrap, each with a confidence: those of gates, and where answers are values,
    which cannot be right or wrong, all that fit.
    """
    wanted = [(gate.metric, gate.confidence) for gate in gates if _is_score(gate.metric)]
    if task != "classification":
        others = {name for name in GATES.names() if _is_score(name) and task in _tasks(name, task)}
        wanted += [(name, 0.95) for name in sorted(others - {metric for metric, _ in wanted})]
    return tuple(dict.fromkeys(wanted))


def _is_score(metric: str) -> bool:
    return hasattr(GATES.get(metric), "score")


def _asks(gate: Gate) -> str | None:
    kind = GATES.get(gate.metric)
    return kind.asks(gate.limit) if hasattr(kind, "asks") else None


def _checked(gate: Gate, file: str, key: str, name: str | None = None) -> _Placed:
    """The gate, if its metric is known and its limit means something."""
    kind = GATES.get(gate.metric, file=file, key=key if name else f"{key}.metric")
    place = f"{key}.{name or 'limit'}"
    try:
        kind.limit(gate.limit)
    except ValueError as error:
        raise UsageError(str(error), file=file, key=place) from None
    return _Placed(gate, file, place)


def _refuse_unmeasurable(placed: _Placed, timing: Timing) -> None:
    kind = GATES.get(placed.gate.metric)
    reason = kind.unmeasurable(placed.gate, timing) if hasattr(kind, "unmeasurable") else None
    if reason:
        raise UsageError(reason, file=placed.file, key=placed.key, hint="raise iterations or looks in [timing]")


def _implies(strong: Any, weak: Any) -> bool:
    """Whether what keeps one limit keeps the other; a limit that is a mere number is the most that may be."""
    if hasattr(strong, "implies"):
        return bool(strong.implies(weak))
    return bool(strong <= weak) if isinstance(strong, float) else bool(strong == weak)


def _refuse_needless(placed: _Placed, other: _Placed) -> None:
    """UsageError where passing `other`, which asks for no weaker evidence, would always pass `placed` too."""
    weak, strong = placed.gate, other.gate
    if weak.metric != strong.metric or weak.confidence > strong.confidence:
        return
    if not reaches(strong.fidelity, weak.fidelity):
        return
    kind = GATES.get(weak.metric)
    if _implies(kind.limit(strong.limit), kind.limit(weak.limit)):
        reason = f"{weak.limit!r} says nothing beside {strong.limit!r} on the same metric, which is at least as strict"
        raise UsageError(reason, file=placed.file, key=placed.key, hint="keep one of the two")


def _refuse_ambiguous(metric: str, target: Target, model: ModelSpec) -> None:
    limits = [gate.limit for gate in target.gates if gate.metric == metric]
    if len(limits) > 1:
        reason = f"{target.file} has {len(limits)} gates on {metric!r} ({', '.join(limits)}): which one is replaced?"
        hint = "leave the budget out, or one of those gates"
        raise UsageError(reason, file=model.file, key=f"budgets.{target.name}.{metric}", hint=hint)


def _refuse_unfit(metric: str, model: ModelSpec, file: str, key: str) -> None:
    """UsageError for a metric that the model's answers do not have; a gate without `tasks` fits all."""
    task = model.declared.task
    GATES.get(metric, file=file, key=key)
    if task not in _tasks(metric, task):
        fitting = [name for name in GATES.names() if task in _tasks(name, task)]
        reason = f"{metric!r} does not fit model {model.name!r}, whose task is {task}"
        raise UsageError(reason, file=file, key=key, hint=f"what fits: {', '.join(fitting)}")


def _tasks(metric: str, every: Task) -> tuple[Task, ...]:
    tasks: tuple[Task, ...] = getattr(GATES.get(metric), "tasks", (every,))
    return tasks
