"""The band of other kernel libraries on a core, forecast from the errors of such libraries on the other cores alone.

The bands that are printed are those of the library that is emulated, and a figure of another library errs by what the
two differ too. So its band here comes from figures of other libraries; none of its own core, so that no figure helps to
make the band that it is held against. This rule was chosen after all these errors had been seen: the bands forecast,
the rule does not. Nothing that the product prints is made by it.

Figures on as many threads count where they are enough for a conformal quantile (`_bands.py`), else those on any number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks._bands import COVERAGE, band
from benchmarks._calibrating import Calibration, Prediction
from benchmarks._tables import Table

_COLUMNS = {
    "target": ("target", ""),
    "threads": ("threads", "d"),
    "from": ("threads of the other cores' figures", ""),
    "figures": ("their figures", "d"),
    "band": ("band they forecast", ".0%"),
    "rule": ("rule", ""),
    "inside": ("inside", "d"),
    "held": ("of", "d"),
}


@dataclass(frozen=True, slots=True)
class Forecast:
    """`error` that `figures` errors on the other cores support, by `rule`; `threads`: of these alone, None: of any."""

    error: float
    rule: str
    figures: int
    threads: int | None

    def covers(self, prediction: Prediction) -> bool:
        """Whether the figure lies inside."""
        return abs(prediction.log_error) <= math.log1p(self.error)


def forecast(prediction: Prediction, every: Sequence[Calibration]) -> Forecast | None:
    """The band of a figure of another kernel library; None of one of the library that is emulated."""
    if prediction.figure.same_kernels:
        return None
    others, alike = _others(prediction, every)
    enough = len(alike) >= COVERAGE / (1 - COVERAGE) - 1e-9
    return _made(alike, prediction.figure.threads) if enough else _made(others, None)


def _others(prediction: Prediction, every: Sequence[Calibration]) -> tuple[list[Prediction], list[Prediction]]:
    """The figures of other libraries on other cores, and those of them on as many threads."""
    others = [each for each in foreign(every) if each.figure.core != prediction.figure.core]
    return others, [each for each in others if each.figure.threads == prediction.figure.threads]


def _made(chosen: Sequence[Prediction], threads: int | None) -> Forecast:
    error, rule = band([each.log_error for each in chosen])
    return Forecast(error, rule, len(chosen), threads)


def foreign(every: Sequence[Calibration]) -> Iterator[Prediction]:
    """The figures of other kernel libraries, of all cores: nothing is fitted to any of them."""
    return (each for one in every for each in one.tested if not each.figure.same_kernels)


def foreign_table(every: Sequence[Calibration]) -> Table:
    """One row for each core and number of threads that figures of other libraries are known of."""
    rows = [row for one in every for row in _rows(one, every)]
    inside, held = (sum(row[key] for row in rows) for key in ("inside", "held"))
    figures = {f"{row['target']}_{row['threads']}_foreign": f"{row['band']:.0%}" for row in rows}
    figures |= {f"{row['target']}_{row['threads']}_apart": f"{row['apart']:.0%}" for row in rows if row["few"]}
    figures |= {
        f"{row['target']}_{row['threads']}_apart_inside": f"{row['apart_inside']} of {row['held']}"
        for row in rows
        if row["few"]
    }
    figures |= {f"{row['target']}_{row['threads']}_foreign_inside": f"{row['inside']} of {row['held']}" for row in rows}
    notes = [
        f"Inside: {inside} of {held}, at a coverage of {COVERAGE:.0%}.",
        "No figure helps to make the band of its own core. The rule was chosen after the errors had been seen.",
        *(
            f"{row['target']}, threads {row['threads']}: the {row['few']} figures on as many threads, too few for a "
            f"quantile, would have forecast {row['apart']:.0%}, with {row['apart_inside']} of {row['held']} inside."
            for row in rows
            if row["few"]
        ),
    ]
    figures["foreign_inside"] = f"{inside} of {held}"
    return Table("Bands of other kernel libraries, from the other cores", _COLUMNS, rows, notes, figures)


def _rows(one: Calibration, every: Sequence[Calibration]) -> Iterator[dict[str, Any]]:
    own = [*foreign([one])]
    for threads in sorted({each.figure.threads for each in own}):
        held = [each for each in own if each.figure.threads == threads]
        made = forecast(held[0], every)
        assert made is not None  # they are foreign
        yield {
            "target": one.target.name,
            "threads": threads,
            "from": "any" if made.threads is None else str(made.threads),
            "figures": made.figures,
            "band": made.error,
            "rule": made.rule,
            "inside": sum(map(made.covers, held)),
            "held": len(held),
        } | _apart(held, made, every)


def _apart(held: Sequence[Prediction], made: Forecast, every: Sequence[Calibration]) -> dict[str, Any]:
    """What figures on as many threads alone would have forecast, where they are `few`."""
    _, alike = _others(held[0], every)
    if made.threads is not None or not alike:
        return {"few": 0, "apart": None, "apart_inside": None}
    narrow = _made(alike, held[0].figure.threads)
    return {"few": narrow.figures, "apart": narrow.error, "apart_inside": sum(map(narrow.covers, held))}
