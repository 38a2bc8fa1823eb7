"""Which gates a release needs, before a model says anything: the policy's, and a target's own in their place."""

from __future__ import annotations

from typing import NamedTuple

from edgebuild.spec import tasks
from edgebuild.spec.registry import GATES, TASKS
from edgebuild.spec.target import Fidelity, GateSpec, Policy, Target

NONE = "none"  # the limit of a metric that a release is not to be judged by


class Declared(NamedTuple):
    """A gate as declared, with the file and key that say so."""

    spec: GateSpec
    file: str
    key: str


def required(target: Target, policy: Policy, task: str | None = None) -> list[Declared]:
    """The policy's gates on metrics that the target has none on, unless it asks for none of these; then its own.

    Of the policy's those are left out that another task than `task` has, and those that limit a share of what the
    hardware does not name: a policy is written for all models and targets.
    """
    own = {spec.metric for spec in target.gates}
    asked = policy.gates if target.policy else ()
    general = [Declared(spec, policy.file, f"gates[{number}]") for number, spec in enumerate(asked)]
    return [
        *(line for line in general if line.spec.metric not in own and _applies(line, target, task)),
        *(Declared(spec, target.file, f"gates[{number}]") for number, spec in enumerate(target.gates)),
    ]


def _applies(line: Declared, target: Target, task: str | None) -> bool:
    kind = GATES.get(line.spec.metric, file=line.file, key=f"{line.key}.metric")
    if task is not None and not fits(line.spec.metric, task):
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
    own = TASKS.get(task).metrics
    return [name for name, kind in GATES.usable().items() if task in (kind.tasks or ()) or name in own]


def fits(metric: str, task: str) -> bool:
    """Whether a metric is one of a task's answers, or about no answers at all."""
    return tasks.fits(GATES.get(metric).tasks, metric, task)
