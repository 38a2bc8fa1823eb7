"""How the outcome of a gate is shown: every comparison, what to be careful about, and what became of the bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.report.summary import COLOURS, line, show_next, show_one

if TYPE_CHECKING:
    from edgebuild.verbs.gate import Result


def show(result: Result) -> None:
    """A table for each comparison, then one line for each warning and for the verdict."""
    where = f"{result.model} for {result.target}, {result.format}, on {result.device} ({result.fidelity})"
    for item in result.comparisons:
        title, names = f"{where}, against {item.against}", (item.against, "this bundle")
        show_one(title, item.evidence, item.verdicts, names)
    for warning in result.warnings:
        line(f"warning: {warning}")
    line((result.status, COLOURS[result.status]), f": {result.bundle} ({_became(result)})")
    for item in result.comparisons:
        show_next(item.verdicts)
    line(f"the evidence is in {result.folder}")


def _became(result: Result) -> str:
    if result.after != result.before:
        return f"was {result.before}, is now {result.after}"
    if result.status == "fail" and result.before == "released":
        return "stays released; --withdraw takes that back"
    return f"stays {'a candidate' if result.after == 'candidate' else result.after}"
