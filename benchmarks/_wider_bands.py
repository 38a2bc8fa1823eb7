"""What bands would be by other sets of errors than the rule takes: looked at after the comparison, no forecast."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks._bands import band
from benchmarks._tables import Row, Table

_COLUMNS = {
    "target": ("target", ""),
    "threads": ("threads", ""),
    "own_figures": ("figures of the same kernel library", ""),
    "own": ("band", ".0%"),
    "float_figures": ("with float figures of others", ""),
    "float": ("band", ".0%"),
    "all_figures": ("with all figures of others", ""),
    "all": ("band", ".0%"),
}


def wider(tables: Sequence[Table], names: Sequence[str]) -> Table:
    """One row for each core and number of threads, of the tables of what was fitted to and what was held against."""
    rows = [row for name in names for row in _rows(name, _find(tables, name, "fitted"), _find(tables, name, "held"))]
    figures = {f"{row['target']}_{row['threads']}_{key}": f"{row[key]:.0%}" for row in rows for key in ("float", "all")}
    return Table("Bands by other sets of errors, after the comparison", _COLUMNS, rows, figures=figures)


def _find(tables: Sequence[Table], name: str, beginning: str) -> Sequence[Row]:
    return next(table.rows for table in tables if table.title.startswith(f"{name}: {beginning}"))


def _rows(name: str, fitted: Sequence[Row], held: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for threads in sorted({row["threads"] for row in [*fitted, *held]}):
        own = [_error(row) for row in fitted if row["threads"] == threads]
        others = [row for row in held if row["threads"] == threads]
        floats = own + [_error(row) for row in others if row["numbers"] == "float"]
        sets = {"own": own, "float": floats, "all": own + [_error(row) for row in others]}
        yield {"target": name, "threads": threads} | {
            key: value
            for which, errors in sets.items()
            for key, value in ((f"{which}_figures", len(errors)), (which, band(errors)[0] if errors else None))
        }


def _error(row: Row) -> float:
    return math.log(row["unseen"] / row["published"])
