"""Tables of figures: Markdown for readers, JSON for programs and for documents that quote, all from the same rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` maps a key of the rows to its heading and format; a value of None is shown as a dash.

    `figures` are single values that follow from the rows, as a sentence quotes them.
    """

    title: str
    columns: Mapping[str, tuple[str, str]]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    figures: Mapping[str, str] = field(default_factory=dict)

    def markdown(self) -> str:
        """A heading, the table and the notes as a list."""
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"## {self.title}", "", self.grid(), *(["", *notes] if notes else []), ""])

    def grid(self, chosen: Sequence[str] = ()) -> str:
        """The table alone, with all columns or with the chosen ones in their order."""
        columns = {key: self.columns[key] for key in chosen or self.columns}
        rows = [[shown(row[key], spec) for key, (_, spec) in columns.items()] for row in self.rows]
        return "\n".join(map(_line, [[heading for heading, _ in columns.values()], ["---"] * len(columns), *rows]))

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it: rows whole, also what no column shows."""
        return {
            "title": self.title,
            "columns": {key: list(column) for key, column in self.columns.items()},
            "rows": [dict(row) for row in self.rows],
            "notes": list(self.notes),
            "figures": dict(self.figures),
        }


def render(name: str, about: str, tables: Sequence[Table], tools: Mapping[str, str]) -> str:
    """The Markdown of a benchmark's results."""
    versions = "Made with " + ", ".join(f"{tool} {version}" for tool, version in tools.items()) + "."
    body = [table.markdown() for table in tables]
    return "\n".join([f"# {about}", "", f"`python -m benchmarks {name}`", "", *body, versions])


def write(folder: Path, name: str, text: str, tables: Sequence[Table], tools: Mapping[str, str]) -> None:
    """Write `name`.md and `name`.json into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    data = {"benchmark": name, "made_with": dict(tools), "tables": [table.plain() for table in tables]}
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read(folder: Path, name: str) -> list[Table]:
    """The tables of kept results; OSError when there are none."""
    stored = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["tables"]
    return [
        Table(each["title"], {key: (heading, spec) for key, (heading, spec) in each["columns"].items()},
              each["rows"], each["notes"], each["figures"])
        for each in stored
    ]  # fmt: skip


def shown(value: Any, spec: str) -> str:
    """A value as a cell shows it."""
    if value is None:
        return "–"
    return ("yes" if value else "no") if isinstance(value, bool) else format(value, spec)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
