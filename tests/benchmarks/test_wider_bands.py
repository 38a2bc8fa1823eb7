"""Bands by other sets of errors than the rule takes."""

from __future__ import annotations

import math

import pytest

from benchmarks._bands import band
from benchmarks._tables import Table
from benchmarks._wider_bands import wider


def row(threads: int, numbers: str, error: float) -> dict[str, object]:
    """A figure whose prediction is `error` too large, as a logarithm."""
    return {"threads": threads, "numbers": numbers, "unseen": 10 * math.exp(error), "published": 10.0}


def test_a_band_is_told_by_the_own_library_with_floats_of_others_and_with_all() -> None:
    fitted = [row(4, "float", 0.1), row(4, "int8", -0.1)]
    held = [row(4, "float", 0.2), row(4, "int8", 0.6), row(1, "float", 0.05)]
    tables = [Table("a: fitted to 2", {}, fitted), Table("a: held against, fitted to none", {}, held)]
    one, four = wider(tables, ["a"]).rows
    assert (one["threads"], one["own_figures"], one["own"], one["float_figures"]) == (1, 0, None, 1)
    assert [four[f"{which}_figures"] for which in ("own", "float", "all")] == [2, 3, 4]
    assert four["float"] == pytest.approx(band([0.1, -0.1, 0.2])[0])
    assert four["all"] == pytest.approx(band([0.1, -0.1, 0.2, 0.6])[0])
