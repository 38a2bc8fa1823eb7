"""Figures that were found or counted after constants and bands had been stated: held against these as they stand.

They are fitted to nothing and make no band, so that they say whether the bands that are printed keep what they promise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from benchmarks._calibrating import Calibration, Prediction
from benchmarks._tables import Table
from edgebuild.spec.core import Band

_COLUMNS = {
    "model": ("model", ""),
    "numbers": ("numbers", ""),
    "device": ("device", ""),
    "runtime": ("runtime", ""),
    "threads": ("threads", "d"),
    "published": ("published, ms", "g"),
    "predicted": ("predicted, ms", ".1f"),
    "low": ("low", ".1f"),
    "high": ("high", ".1f"),
    "error": ("error", "+.0%"),
    "inside": ("inside", ""),
}


def later_table(every: Sequence[Calibration]) -> Table:
    """Each figure, and what the target's profile prints of it."""
    rows = [row for one in every for row in _rows(one)]
    inside = f"{sum(row['inside'] for row in rows)} of {len(rows)}"
    strictly = f"{sum(row['strictly'] for row in rows)} of {len(rows)}"
    figures = {"later_inside": inside, "later_strictly": strictly}
    notes = [
        *(
            f"Published: {source}."
            for source in dict.fromkeys(each.figure.source for one in every for each in one.later)
        ),
        f"Inside what is printed, low to high: {inside}. By logarithms, as in the tables above: {strictly}.",
        *(note for one in every for note in _remade(one)),
    ]
    return Table("Held against constants and bands as they had been stated", _COLUMNS, rows, notes, figures)


def _remade(one: Calibration) -> Iterator[str]:
    """What the bands would be by their rule if these figures were among those that make them."""
    kinds = {(each.figure.format, each.figure.threads) for each in one.later}
    for margin in replace(one, tested=(*one.tested, *one.later)).margins():
        if (margin.format, margin.threads) in kinds:
            yield (
                f"{one.target.name}, {margin.format}, threads {margin.threads}: with these among its {margin.figures} "
                f"figures the band would be {margin.error:.0%}."
            )


def _rows(one: Calibration) -> Iterator[dict[str, Any]]:
    core = one.target.hardware.core
    assert core is not None  # a target that is calibrated has a time model
    assert core.time is not None
    for each in one.later:
        yield _row(one.target.name, each, core.time.band(each.figure.format, each.figure.threads))


def _row(target: str, prediction: Prediction, band: Band) -> dict[str, Any]:
    ms, published = 1e3 * prediction.seconds, prediction.figure.milliseconds
    low, high = band.limits(ms)
    return prediction.row | {
        "target": target,
        "predicted": ms,
        "low": low,
        "high": high,
        "inside": low <= published <= high,
        "strictly": abs(prediction.log_error) <= math.log1p(band.error),
    }
