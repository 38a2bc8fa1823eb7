"""The gates of a release: the policy's, a target's own in their place, and a model's budgets in place of either.

All are checked before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations

from edgebuild.plan.by_head import Placed, by_head
from edgebuild.plan.policy import NONE, Declared, fidelity_of, fits, metrics_of, required
from edgebuild.plan.weights import source_of
from edgebuild.spec import tasks
from edgebuild.spec.errors import UsageError
from edgebuild.spec.metric import Scored as ScoredMetric
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import GATES
from edgebuild.spec.signature import Head
from edgebuild.spec.target import FIDELITIES, Gate, GateSpec, Policy, Target, Timing, reaches


def gates_of(target: Target, model: ModelSpec, policy: Policy) -> tuple[Gate, ...]:
    """What a release of the model on the target must prove.

    The policy's gates that fit the model's tasks and the target's hardware; where the target has gates of its own,
    those instead (or only on their metrics, if it says so); the model's budgets in the place of any one's limit, then
    those on further metrics. A gate on answers is one for each head that has its metric, unless it names an output.

    UsageError for a wrong metric or limit, for a metric that the model's answers do not have, for a limit that
    `timing` can never decide, for one that says nothing beside another, for a budget that might replace either of two
    gates, and where nothing would hold the model's answers.
    """
    judged = [_of_each(placed, target) for placed in by_head(_declared(target, model, policy), model.declared)]
    for placed in judged:
        _refuse_unmeasurable(placed, target.timing)
    for placed, other in permutations(judged, 2):
        _refuse_needless(placed, other)
    return tuple(placed.gate for placed in judged)


def _declared(target: Target, model: ModelSpec, policy: Policy) -> list[Placed]:
    """The gates as policy, target and model declare them, less those that are waived or about files of others."""
    lines = required(target, policy, model.declared.heads)
    gates = [_checked(line, target, budget) for line, budget in _with_budgets(lines, target, model)]
    if target.policy:
        _refuse_unheld(gates, model, policy)
    imported = source_of(model).original("test") is not None
    held = [placed for placed in gates if imported or not GATES.get(placed.gate.metric).imported]
    return [placed for placed in held if placed.gate.limit != NONE]


def _with_budgets(lines: list[Declared], target: Target, model: ModelSpec) -> Iterator[tuple[Declared, str | None]]:
    """The lines with the model's own limits in their place, then those on further metrics, each with its key."""
    key = f"budgets.{target.name}"
    budgets = model.declared.budgets.get(target.name, {})
    for line in lines:
        metric = line.spec.metric
        if line.file == target.file:
            _refuse_unfit(metric, model, line.file, f"{line.key}.metric")
        if metric in budgets:
            _refuse_ambiguous(metric, lines, model, key)
            yield Declared(replace(line.spec, limit=budgets[metric]), model.file, key), metric
        else:
            yield line, None
    for metric in [name for name in budgets if name not in {line.spec.metric for line in lines}]:
        _refuse_unfit(metric, model, model.file, key)
        yield Declared(GateSpec(metric, budgets[metric]), model.file, key), metric


def regressions_of(target: Target, model: ModelSpec, policy: Policy, *, counted: bool = False) -> tuple[Gate, ...]:
    """The gates between a candidate and an earlier release.

    What the target declares as `regressions`; else, for each gate of a release, the metric's usual limit between two
    releases, with the gate's own confidence and fidelity. Where the device has `counted` work, that stands for the time
    which would be predicted from it: counts are exact. UsageError as `gates_of`, and where there is none.
    """
    declared = [placed.gate for placed in _declared(target, model, policy)]
    between = [replace(gate, metric=_between(gate.metric, counted=counted)) for gate in declared]
    usual = dict.fromkeys(
        GateSpec(gate.metric, limit, gate.confidence, gate.fidelity, gate.output)
        for gate in between
        if (limit := GATES.get(gate.metric).regression) is not None
    )
    lines = [Declared(spec, target.file, f"regressions[{n}]") for n, spec in enumerate(target.regressions or usual)]
    gates = [_of_each(placed, target) for placed in by_head([_checked(line, target) for line in lines], model.declared)]
    if not gates:
        hint = "declare [[regressions]]"
        raise UsageError("has no gate that holds between two releases", file=target.file, hint=hint)
    for placed in gates:
        _refuse_unfit(placed.gate.metric, model, placed.file, placed.key)
        _refuse_unmeasurable(placed, target.timing)
    return tuple(placed.gate for placed in gates)


def _between(metric: str, *, counted: bool) -> str:
    """The metric that is held between two releases in this one's place."""
    return (GATES.get(metric).counted or metric) if counted else metric


def stopping(gates: tuple[Gate, ...], evidence: str) -> tuple[Gate, ...]:
    """The gates that a measurement of this kind must settle; what they ask of its fidelity does not matter to it."""
    asking = (gate for gate in gates if GATES.get(gate.metric).asks(gate.limit) == evidence)
    return tuple(dict.fromkeys(replace(gate, fidelity=FIDELITIES[0]) for gate in asking))


def resampled(gates: tuple[Gate, ...], heads: Sequence[Head]) -> tuple[tuple[str, str, float], ...]:
    """Metrics that need the paired bootstrap, by head, each with a confidence: those of gates, and where answers are
    values, which cannot be right or wrong, all that fit.
    """
    metrics = []
    for head in heads:
        own = [gate for gate in gates if _is_score(gate.metric) and gate.output in (None, head.name)]
        metrics += [(head.name, gate.metric, gate.confidence) for gate in own if fits(gate.metric, head.task)]
        if not tasks.of(head).choice:
            others = {name for name in GATES.usable() if _is_score(name) and fits(name, head.task)}
            metrics += [(head.name, name, 0.95) for name in sorted(others - {gate.metric for gate in own})]
    return tuple(dict.fromkeys(metrics))


def _is_score(metric: str) -> bool:
    return issubclass(GATES.get(metric), ScoredMetric)


def _checked(line: Declared, target: Target, name: str | None = None) -> Placed:
    """The gate, if its metric is known and its limit means something; `name` is its key where it is a budget."""
    spec, file, key = line
    kind = GATES.get(spec.metric, file=file, key=key if name else f"{key}.metric")
    place = f"{key}.{name or 'limit'}"
    limit = spec.limit
    try:
        if limit != NONE:
            limit = kind.on_hardware(limit, target.hardware)
            kind.limit(limit)
    except ValueError as error:
        raise UsageError(str(error), file=file, key=place) from None
    gate = Gate(spec.metric, limit, spec.confidence, fidelity_of(spec, target), spec.output)
    return Placed(gate, file, place)


def _of_each(placed: Placed, target: Target) -> Placed:
    """The gate as it holds for one of the target's formats, of which the best is shipped.

    Each has its own chance to pass wrongly, so the error that the gate allows is shared out among them (Bonferroni):
    1 − (1 − confidence) / formats. Limits on what is counted have no confidence that matters.
    """
    formats = len(target.runtimes)
    if formats == 1:
        return placed
    confidence = round(1 - (1 - placed.gate.confidence) / formats, 12)
    return placed._replace(gate=replace(placed.gate, confidence=confidence))


def _refuse_unmeasurable(placed: Placed, timing: Timing) -> None:
    if reason := GATES.get(placed.gate.metric).unmeasurable(placed.gate, timing):
        raise UsageError(reason, file=placed.file, key=placed.key, hint="raise iterations or looks in [timing]")


def _refuse_needless(placed: Placed, other: Placed) -> None:
    """UsageError where passing `other`, which asks for no weaker evidence, would always pass `placed` too."""
    weak, strong = placed.gate, other.gate
    if weak.metric != strong.metric or weak.confidence > strong.confidence:
        return
    if strong.output not in (None, weak.output):  # what holds for all outputs holds for each
        return
    if not reaches(strong.fidelity, weak.fidelity):
        return
    kind = GATES.get(weak.metric)
    if kind.implies(kind.limit(strong.limit), kind.limit(weak.limit)):
        reason = f"{weak.limit!r} says nothing beside {strong.limit!r} on the same metric, which is at least as strict"
        raise UsageError(reason, file=placed.file, key=placed.key, hint="keep one of the two")


def _refuse_ambiguous(metric: str, lines: list[Declared], model: ModelSpec, key: str) -> None:
    same = [line for line in lines if line.spec.metric == metric]
    if len(same) > 1:
        limits = ", ".join(line.spec.limit for line in same)
        reason = f"{same[0].file} has {len(same)} gates on {metric!r} ({limits}): which one is replaced?"
        hint = "leave the budget out, or one of those gates"
        raise UsageError(reason, file=model.file, key=f"{key}.{metric}", hint=hint)


def _refuse_unheld(gates: list[Placed], model: ModelSpec, policy: Policy) -> None:
    """UsageError where no gate is about what the model answers, and nobody has said that none should be."""
    answers = [*dict.fromkeys(name for head in model.declared.heads for name in metrics_of(head.task))]
    if policy.gates and not any(placed.gate.metric in answers for placed in gates):
        reason = f"has no gate on what {model.name!r} answers, whose task is {_tasks(model)}"
        hint = f'one of {", ".join(answers)}; the limit "none" leaves it out'
        raise UsageError(reason, file=policy.file, key="gates", hint=hint)


def _refuse_unfit(metric: str, model: ModelSpec, file: str, key: str) -> None:
    """UsageError for a metric that the model's answers do not have; one that is not about answers fits all."""
    GATES.get(metric, file=file, key=key)
    if not any(fits(metric, head.task) for head in model.declared.heads):
        fitting = [name for name in GATES.usable() if any(fits(name, head.task) for head in model.declared.heads)]
        reason = f"{metric!r} does not fit model {model.name!r}, whose task is {_tasks(model)}"
        raise UsageError(reason, file=file, key=key, hint=f"what fits: {', '.join(fitting)}")


def _tasks(model: ModelSpec) -> str:
    return " and ".join(dict.fromkeys(head.task for head in model.declared.heads))
