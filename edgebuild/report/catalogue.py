"""Tables of what there is: targets, models, steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edgebuild.spec.target import Target


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a plain table."""
    made = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        made.add_row(*row)
    Console().print(made)


def show_target(target: Target, path: Path) -> None:
    """Print a target's own file, below a line that says where it is."""
    print(f"# {target.name}: {path}")
    print(path.read_text(encoding="utf-8").rstrip())


def show_steps(steps: Mapping[str, Any]) -> None:
    """Print every step with what it works on and its options' defaults."""
    rows = []
    for name, step in steps.items():
        options = ", ".join(f"{f.name}={f.default!r}" for f in dataclasses.fields(step))
        rows.append((name, " ".join(step.consumes), options, (step.__doc__ or "").split("\n")[0]))
    table(("step", "works on", "options", "what it does"), rows)
