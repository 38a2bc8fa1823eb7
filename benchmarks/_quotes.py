"""Documents that quote results: the quoted text stands between two comments and is put there by a program.

    <!-- figure peers balanced_bytes -->0.27<!-- end -->                 a figure of any table of these results
    <!-- table peers 0 name bytes ms --> … <!-- end -->                  table 0, all columns or those that are named

`python -m benchmarks --quote` renews them; a test holds that they are what the results say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks._tables import read

_QUOTE = re.compile(r"(<!-- (figure|table) ([^>]*?) -->)(.*?)(<!-- end -->)", re.DOTALL)


def documents(root: Path) -> Iterator[Path]:
    """Those that may quote."""
    yield root / "README.md"
    yield from sorted((root / "docs").rglob("*.md"))


def renew(document: Path, results: Path) -> None:
    """Put the results into a document; ValueError for a quote of something that they do not have."""
    text = document.read_text(encoding="utf-8")
    renewed = quoted(text, results)
    if renewed != text:
        document.write_text(renewed, encoding="utf-8")


def quoted(text: str, results: Path) -> str:
    """The text with every quote as the results say it now."""
    return _QUOTE.sub(lambda match: match[1] + _quote(match[2], match[3].split(), results) + match[5], text)


def _quote(kind: str, words: list[str], results: Path) -> str:
    name, what, *columns = words
    tables = read(results, name)
    if kind == "table":
        return f"\n{tables[int(what)].grid(columns)}\n"
    for table in tables:
        if what in table.figures:
            return table.figures[what]
    raise ValueError(f"{name} has no figure {what!r}")
