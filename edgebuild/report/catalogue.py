"""Tables of what there is: targets, models, steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any

from edgebuild.plan.policy import NONE, fidelity_of, required
from edgebuild.report.table import table
from edgebuild.spec.artifact import option_fields
from edgebuild.spec.rewrite import Rewrite
from edgebuild.spec.target import Policy, Target
from edgebuild.spec.technique import Technique

__all__ = ["show_quantization", "show_rewrites", "show_steps", "show_target", "table"]


def show_target(target: Target, path: Path, policy: Policy) -> None:
    """Print a target's own file, below a line that says where it is; then as comments what a release must prove."""
    print(f"# {target.name}: {path}")
    print(path.read_text(encoding="utf-8").rstrip())
    print("\n# What a release must prove here, unless the model's budgets say otherwise:")
    for line in required(target, policy):
        requirement = f"{line.spec.limit!r}, evidence at least {fidelity_of(line.spec, target)}"
        print(f"#   {line.spec.metric} {requirement if line.spec.limit != NONE else 'is not judged'} ({line.file})")


def show_steps(steps: Mapping[str, type[Technique]]) -> None:
    """Print every step with what it works on and its options' defaults."""
    rows = []
    for name, step in steps.items():
        options = ", ".join(map(_option, option_fields(step)))
        rows.append((name, " ".join(step.consumes), options, (step.__doc__ or "").split("\n")[0]))
    table(("step", "works on", "options", "what it does"), rows)


def _option(field: Field[Any]) -> str:
    """An option with its default, where it has one."""
    if field.default_factory is not MISSING:
        return f"{field.name}={field.default_factory()!r}"
    return f"{field.name}={field.default!r}" if field.default is not MISSING else field.name


def show_quantization(rows: list[dict[str, Any]]) -> None:
    """Print which technique, weights and granularity a format's runtime has kernels for, and why not the others."""
    real = [[row[k] for k in ("format", "technique", "weights", "granularity", "covers", "arithmetic")] for row in rows]
    table(
        ("format", "technique", "weights", "a scale for each", "layers", "arithmetic, or why not"),
        [[(", ".join(cell) or "any") if isinstance(cell, tuple) else cell for cell in cells] for cells in real],
    )


def show_rewrites(rewrites: Mapping[str, type[Rewrite]]) -> None:
    """Print what conversion says in other operators, where that is needed, and why."""
    rows = [
        (name, ", ".join(f"{each}: {why}" for each, why in kind.formats.items()), (kind.__doc__ or "").split("\n")[0])
        for name, kind in rewrites.items()
    ]
    table(("rewritten by conversion", "otherwise", "what becomes of it"), rows)
