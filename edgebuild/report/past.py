"""How the history and the baselines of a project are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebuild.report.summary import COLOURS
from edgebuild.report.table import table
from edgebuild.spec.errors import EdgebuildError
from edgebuild.spec.units import show_seconds

if TYPE_CHECKING:
    from edgebuild.bundle.baselines import Baseline
    from edgebuild.bundle.commit import Commit
    from edgebuild.bundle.history import Entry

_HEADS = ("when", "commit", "by", "what", "format", "verdict", "latency", "float or baseline", "gates")


def show(entries: Sequence[Entry], damaged: Sequence[int]) -> None:
    """One line an entry, oldest first; then which lines of the file cannot be read."""
    table(_HEADS, [_row(entry) for entry in entries], colours=COLOURS)
    if damaged:
        print(f"damaged lines that are left out: {', '.join(map(str, damaged))}")


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        entry.time,
        commit(entry.commit),
        entry.command,
        f"{entry.target}/{entry.model}",
        entry.format,
        entry.status,
        _seconds(entry.seconds.candidate),
        _seconds(entry.seconds.baseline),
        ", ".join(f"{verdict.metric} {verdict.status}" for verdict in entry.verdicts),
    )


def commit(at: Commit | None) -> str:
    """The short name of a commit, with a plus where files had changed since."""
    return f"{at.id[:10]}{'+' * at.changed}" if at else ""


def _seconds(value: float | None) -> str:
    return "" if value is None else show_seconds(value)


def show_baselines(surveyed: Sequence[Baseline | EdgebuildError], folder: str) -> None:
    """One line a baseline; one that cannot be used says why."""
    if not surveyed:
        print(f"{folder}: no baseline yet (edgebuild baseline set BUNDLE)")
        return
    rows = [(item.line,) if isinstance(item, EdgebuildError) else _baseline(item) for item in surveyed]
    heads = ("baseline", "of", "format", "status", "set", "commit", "with")
    table(heads, [(*row, *[""] * (len(heads) - len(row))) for row in rows])


def _baseline(item: Baseline) -> tuple[str, ...]:
    facts = item.facts
    parts = ", ".join(role for role in ("reference", "data") if item.part(role))
    what = f"{item.target}/{item.model}"
    return item.name, what, item.format, facts.status, item.set, commit(item.commit), parts


def show_baseline(item: Baseline) -> None:
    """One baseline whole: what it is of, what was measured, and on what."""
    rows = list(zip(("baseline", "of", "format", "status", "set", "commit", "with"), _baseline(item), strict=True))
    rows += [("file", ", ".join(part.file for part in item.facts.parts)), ("edgebuild", item.facts.edgebuild)]
    table(("", ""), rows)
    for role, facts in item.facts.fingerprints.items():
        print(f"{role} was measured on: {', '.join(f'{name} {text}' for name, text in facts.items())}")
