"""Inputs of steps that measure what is deployed: one file, or the parts of an assembly."""

from __future__ import annotations

from edgebuild.spec.artifact import Input, StepIO

# How often each part runs, beside the outputs of the whole; seconds of each part, beside the times of the whole.
RUNS, TIMES = "runs.json", "parts.json"


def files(io: StepIO, role: str) -> dict[str, Input]:
    """The inputs of a role by the part's name: `role` itself, without a name, or `role/<part>` for each part."""
    return {"": io.inputs[role]} if role in io.inputs else io.roles(role)
