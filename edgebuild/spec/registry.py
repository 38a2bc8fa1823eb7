"""All that there is of each noun, by name: ours, and what other packages bring; sources are in `source.py`."""

from __future__ import annotations

from typing import Any

from edgebuild.spec.artifact import FILE, Step
from edgebuild.spec.device import Device
from edgebuild.spec.format import Format
from edgebuild.spec.metric import Metric
from edgebuild.spec.plugins import Registry
from edgebuild.spec.rewrite import Rewrite
from edgebuild.spec.task import Task
from edgebuild.spec.technique import Technique

# mypy takes a base for a class to make objects of, which nobody does.
STEPS: Registry[Technique] = Registry(
    Technique,  # type: ignore[type-abstract]
    "edgebuild.steps.techniques",
    "step",
    "edgebuild.steps",
    options=True,
)
FORMATS: Registry[Format] = Registry(
    Format,  # type: ignore[type-abstract]
    "edgebuild.formats",
    "format",
    "edgebuild.formats",
)
DEVICES: Registry[Device] = Registry(
    Device,  # type: ignore[type-abstract]
    "edgebuild.devices",
    "device transport",
    "edgebuild.devices",
    options=True,
    named="transport",
)
GATES: Registry[Metric[Any]] = Registry(
    Metric,  # type: ignore[type-abstract]
    "edgebuild.gates",
    "metric",
    "edgebuild.gates",
)
TASKS: Registry[Task] = Registry(
    Task,  # type: ignore[type-abstract]
    "edgebuild.tasks",
    "task",
    "edgebuild.tasks",
)
REWRITES: Registry[Rewrite] = Registry(
    Rewrite,  # type: ignore[type-abstract]
    "edgebuild.nn.legalize.rewrites",
    "rewrite",
    "edgebuild.rewrites",
)


def takes(step: Step | type[Step], kind: str) -> bool:
    """Whether an artifact of this kind may be the step's `model`."""
    return kind in step.consumes or (FILE in step.consumes and kind in FORMATS.names())


def rewriting(format_name: str) -> tuple[str, ...]:
    """The modules of the rewrites for a format, which decide with it what a conversion makes."""
    return tuple(REWRITES.module(name) for name, kind in REWRITES.usable().items() if format_name in kind.formats)
