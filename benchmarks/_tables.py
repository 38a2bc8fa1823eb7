"""Tables of figures: Markdown for readers, JSON for programs, both from the same rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` maps a key of the rows to its heading and format; a value of None is shown as a dash."""

    title: str
    columns: Mapping[str, tuple[str, str]]
    rows: Sequence[Row]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """A heading, the table and the notes as a list."""
        headings = [heading for heading, _ in self.columns.values()]
        lines = [_line(headings), _line("---" for _ in headings), *(_line(self._cells(row)) for row in self.rows)]
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"## {self.title}", "", *lines, *(["", *notes] if notes else []), ""])

    def _cells(self, row: Row) -> list[str]:
        return [_shown(row[key], spec) for key, (_, spec) in self.columns.items()]

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it: rows whole, also what no column shows."""
        return {"title": self.title, "rows": [dict(row) for row in self.rows], "notes": list(self.notes)}


def write(folder: Path, name: str, about: str, tables: Sequence[Table], facts: Mapping[str, str]) -> str:
    """Write `name`.md and `name`.json into `folder`; the Markdown is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    made_with = "Made with " + ", ".join(f"{what} {which}" for what, which in facts.items()) + "."
    body = [table.markdown() for table in tables]
    text = "\n".join([f"# {about}", "", f"`python -m benchmarks {name}`", "", *body, made_with])
    (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    data = {"benchmark": name, "made_with": dict(facts), "tables": [table.plain() for table in tables]}
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return text


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(value: Any, spec: str) -> str:
    if value is None:
        return "–"
    return ("yes" if value else "no") if isinstance(value, bool) else format(value, spec)
