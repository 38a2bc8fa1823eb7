"""What layers take on the target, as techniques are given it by runtime."""

from __future__ import annotations

from edgebuild.spec import documents
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.evidence import FILE, WidthCurves


def curves(io: StepIO) -> dict[str, WidthCurves]:
    """By the runtime's format; empty where nothing counts for the target."""
    return {name: documents.read(WidthCurves, one.path / FILE) for name, one in io.roles("widths").items()}
