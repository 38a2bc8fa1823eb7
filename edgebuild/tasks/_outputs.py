"""What tasks ask of the outputs that a head reads."""

from __future__ import annotations

from collections.abc import Sequence

from edgebuild.spec.signature import TensorSpec


def single(task: str, outputs: Sequence[TensorSpec]) -> TensorSpec:
    """The one output of floats that a head of this task reads; ValueError where there are several, or whole numbers."""
    if len(outputs) != 1:
        named = ", ".join(output.name for output in outputs)
        raise ValueError(f"task {task!r} reads one output, not {len(outputs)} ({named}): give each output its own task")
    floats(task, outputs)
    return outputs[0]


def floats(task: str, outputs: Sequence[TensorSpec]) -> None:
    """ValueError where an output that a head of this task reads has whole numbers."""
    for output in outputs:
        if not output.dtype.startswith("float"):
            raise ValueError(f"task {task!r} learns from float32 answers, and output {output.name!r} is {output.dtype}")
