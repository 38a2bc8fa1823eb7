"""Which gates a release needs, before a model says anything: the policy's, and a target's own in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgebuild.spec import tasks
from edgebuild.spec.registry import GATES
from edgebuild.spec.signature import Head
from edgebuild.spec.target import Fidelity, GateSpec, Policy, Target

NONE = "none"  # the limit of a metric that a release is not to be judged by


class Declared(NamedTuple):
    """A gate as declared, with the file and key that say so."""

    spec: GateSpec
    file: str
    key: str


def required(target: Target, policy: Policy, heads: Sequence[Head] | None = None) -> list[Declared]:
    """The policy's gates on metrics that the target has none on, unless it asks for none of these; then its own.

    Of the policy's those are left out that none of the model's `heads` has, and those that limit a share of what the
    hardware does not name: a policy is written for all models and targets.
    """
    own = {spec.metric for spec in target.gates}
    declared = policy.gates if target.policy else ()
    general = [Declared(spec, policy.file, f"gates[{number}]") for number, spec in enumerate(declared)]
    return [
        *(line for line in general if line.spec.metric not in own and _applies(line, target, heads)),
        *(Declared(spec, target.file, f"gates[{number}]") for number, spec in enumerate(target.gates)),
    ]


def _applies(line: Declared, target: Target, heads: Sequence[Head] | None) -> bool:
    kind = GATES.get(line.spec.metric, file=line.file, key=f"{line.key}.metric")
    if heads is not None and not any(fits(line.spec.metric, head.task) for head in heads):
        return False
    return kind.applies(target.hardware)


def fidelity_of(spec: GateSpec, target: Target) -> Fidelity:
    """The least evidence that a gate counts: its own word, else the target's on what the metric is measured by.

    What is taken from the file or the model alone is not measured, and is as good from any machine.
    """
    if spec.fidelity is not None:
        return spec.fidelity
    least: dict[str | None, Fidelity] = {"outputs": target.fidelity.outputs, "latency": target.fidelity.latency}
    return least.get(GATES.get(spec.metric).measured, "host")


def metrics_of(task: str) -> list[str]:
    """The metrics that answers of a task have and others may not."""
    return [name for name, kind in GATES.usable().items() if kind.tasks is not None and fits(name, task)]


def fits(metric: str, task: str) -> bool:
    """Whether a metric is one of this task's answers, or of no answers at all."""
    return tasks.fits(GATES.get(metric).tasks, metric, task)
