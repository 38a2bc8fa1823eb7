"""Documents say what the kept results say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import _quotes
from benchmarks.__main__ import RESULTS, ROOT
from benchmarks._tables import Table, render, write

COLUMNS = {"tool": ("tool", ""), "bytes": ("bytes", ",d")}
TABLE = Table("Sizes", COLUMNS, [{"tool": "ours", "bytes": 1234}], figures={"best": "0.27"})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write(tmp_path, "sizes", render("sizes", "", [TABLE], {}), [TABLE], {})
    return tmp_path


@pytest.mark.parametrize("document", list(_quotes.documents(ROOT)), ids=lambda path: path.name)
def test_a_document_quotes_the_results_as_they_are(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert _quotes.quoted(text, RESULTS) == text, "python -m benchmarks --quote"


def test_a_figure_and_the_named_columns_of_a_table_are_put_in_place(results: Path) -> None:
    text = "<!-- figure sizes best -->old<!-- end --> of it\n<!-- table sizes 0 bytes -->\nold\n<!-- end -->\n"
    wanted = "<!-- figure sizes best -->0.27<!-- end --> of it\n<!-- table sizes 0 bytes -->\n"
    wanted += "| bytes |\n| --- |\n| 1,234 |\n<!-- end -->\n"
    assert _quotes.quoted(text, results) == wanted
    assert _quotes.quoted(wanted, results) == wanted


def test_a_quote_of_what_is_not_there_is_an_error(results: Path) -> None:
    with pytest.raises(ValueError, match="worst"):
        _quotes.quoted("<!-- figure sizes worst -->1<!-- end -->", results)
