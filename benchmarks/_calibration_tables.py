"""What a calibration shows: which terms forecast, what was fitted to, what was held against, bands, transfers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from benchmarks._bands import COVERAGE
from benchmarks._calibrating import Calibration, Prediction, fitted_error, unknown_threads
from benchmarks._foreign_bands import forecast
from benchmarks._published import LEFT_OUT
from benchmarks._tables import Row, Table
from benchmarks._transfer import Transfer, widest, widest_ratio

THREADS = (1, 4)
MODEL = {"model": ("model", ""), "numbers": ("numbers", "")}
_WHERE = {"device": ("device", ""), "runtime": ("runtime", ""), "threads": ("threads", "d")}
_PUBLISHED = {"published": ("published, ms", "g")}
_FITTED = {
    "fitted_error": ("error, fitted", "+.0%"),
    "unseen": ("predicted from the others, ms", ".1f"),
    "error": ("error", "+.0%"),
}
_TESTED = {
    "unseen": ("predicted, ms", ".1f"),
    "error": ("error", "+.0%"),
    "inside": ("inside the forecast band", ""),
    "foreign_band": ("band of other kernels, from the other cores", ".0%"),
    "foreign_inside": ("inside that", ""),
}
_TERMS = {
    "terms": ("terms", ""),
    "dram": ("memory, GB/s", ".2f"),
    "fork_join": ("parallel region, µs", ".1f"),
    "misses": ("miss before the last cache, cycles", ".2f"),
    "spread": ("leave-one-out error, root mean square of logarithms", ".3f"),
    "taken": ("taken", ""),
}
_MARGINS = {
    "format": ("format", ""),
    "threads": ("threads", "d"),
    "fitted": ("left out one at a time", "d"),
    "forecast": ("band they forecast", ".0%"),
    "figures": ("figures of the band", "d"),
    "median": ("median error", ".0%"),
    "band": ("band", ".0%"),
    "rule": ("rule", ""),
}
_TRANSFERS = {
    "source": ("constants of", ""),
    "to": ("figures of", ""),
    "figures": ("figures", "d"),
    "median": ("median error", "+.0%"),
    "least": ("least", "+.0%"),
    "most": ("most", "+.0%"),
}


def tables_of(calibration: Calibration, every: Sequence[Calibration]) -> list[Table]:
    """What the constants were fitted to, what they were held against, and the bands that follow.

    `every` core's calibration is what the bands of other kernel libraries come from.
    """
    name, model = calibration.target.name, calibration.chosen.model
    left_out = [_row(each) | {"fitted_error": fitted_error(each, model)} for each in calibration.left_out]
    tested = [_row(each) | _held(calibration, each, every) for each in calibration.tested]
    shown = MODEL | _WHERE | _PUBLISHED
    figures = {f"{name}_dram": f"{model.dram / 1e9:.2f}", f"{name}_ratio": f"{calibration.ratio():.0%}"}
    figures |= {f"{name}_any": f"{calibration.any_runtime():.0%}"}
    figures |= {f"{name}_fork_join": f"{(model.fork_join or 0) * 1e6:.1f}"}
    fit = Table(f"{name}: fitted to", shown | _FITTED, left_out, _sources(calibration.left_out), figures)
    test = Table(
        f"{name}: held against, fitted to none",
        shown | _TESTED,
        tested,
        [*_sources(calibration.tested), *_summary(tested)],
        _summaries(name, tested),
    )
    margins = [
        {
            "format": each.format, "threads": each.threads, "fitted": each.fitted, "forecast": each.forecast,
            "figures": each.figures, "median": each.median, "band": each.error, "rule": each.rule,
        }
        for each in calibration.margins()
    ]  # fmt: skip
    notes = [
        f"Coverage {COVERAGE:.0%}. Ratio of two files of one source: {calibration.ratio():.0%}.",
        f"Of a runtime without figures: {calibration.any_runtime():.0%}, from those of all runtimes and kernels.",
        "conformal: the errors' own quantile; student: too few for that, so a prediction interval of normal errors.",
    ]
    tables = [_terms(calibration), fit, *([test] if tested else [])]
    return [*tables, Table(f"{name}: bands", _MARGINS, margins, notes)]


def _terms(calibration: Calibration) -> Table:
    rows = [
        {
            "terms": ", ".join(fit.terms),
            "dram": fit.model.dram / 1e9,
            "fork_join": (fit.model.fork_join or 0.0) * 1e6,
            "misses": max(fit.model.miss_cycles.values()),
            "spread": fit.spread,
            "taken": fit is calibration.chosen,
        }
        for fit in calibration.fits
    ]
    return Table(f"{calibration.target.name}: which terms forecast best", _TERMS, rows)


def _row(prediction: Prediction) -> dict[str, Any]:
    return prediction.row | {"unseen": 1e3 * prediction.seconds}


def _held(calibration: Calibration, prediction: Prediction, every: Sequence[Calibration]) -> dict[str, Any]:
    """Whether a figure lies inside the band of the core's own leave-one-out errors, and in that of other kernels."""
    other = forecast(prediction, every)
    foreign: dict[str, Any] = {"foreign_band": None, "foreign_inside": None}
    foreign |= {} if other is None else {"foreign_band": other.error, "foreign_inside": other.covers(prediction)}
    return {"inside": _inside(calibration, prediction)} | foreign


def _inside(calibration: Calibration, prediction: Prediction) -> bool | None:
    band = calibration.forecast(prediction)
    return None if band is None else abs(prediction.log_error) <= math.log1p(band)


def _sources(prediction: Sequence[Prediction]) -> list[str]:
    return [f"Published: {source}." for source in dict.fromkeys(each.figure.source for each in prediction)]


def _summaries(name: str, rows: Sequence[Row]) -> dict[str, str]:
    if not rows:
        return {}
    inside = [row["inside"] for row in rows if row["inside"] is not None]
    median = statistics.median(abs(row["error"]) for row in rows)
    right, groups = _ordered(rows)
    return {
        f"{name}_ordered": f"{right} of {groups}",
        f"{name}_tested": str(len(rows)),
        f"{name}_median": f"{median:.0%}",
        f"{name}_inside": f"{sum(inside)} of {len(inside)}",
    }


def _ordered(rows: Sequence[Row]) -> tuple[int, int]:
    """Of how many sets of three networks or more, alike in all else, the order is as published; how many there are."""
    sets: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        sets.setdefault((row["device"], row["runtime"], row["numbers"], str(row["threads"])), []).append(row)
    large = [each for each in sets.values() if len(each) >= 3]
    right = [sorted(each, key=itemgetter("published")) == sorted(each, key=itemgetter("unseen")) for each in large]
    return sum(right), len(right)


def _summary(rows: Sequence[Row]) -> list[str]:
    told = _summaries("", rows)
    if not told:
        return []
    return [
        f"Median error {told['_median']} over {told['_tested']} figures; inside {told['_inside']}.",
        f"Sets of three networks or more on one device, in the order that was published: {told['_ordered']}.",
    ]


def unknown(calibration: Calibration) -> Table:
    """Figures whose threads nobody knows: what they would be on one thread and on four."""
    rows = [
        _row(one) | {"one": 1e3 * one.seconds, "four": 1e3 * four.seconds}
        for one, four in unknown_threads(calibration.target, calibration.chosen.model, "cortex-a76", THREADS)
    ]
    times = {"one": ("1 thread, ms", ".1f"), "four": ("4 threads, ms", ".1f")}
    shown = MODEL | {"device": ("device", ""), "runtime": ("runtime", "")} | _PUBLISHED | times
    left = [f"Left out: {each['what']}: {each['why']}." for each in LEFT_OUT]
    return Table("Figures whose threads nobody states", shown, rows, left)


def transfer_table(every: Sequence[Transfer]) -> Table:
    """How far off constants of another core are, which is what is known of a core without figures."""
    rows = [
        {
            "source": each.source,
            "to": each.to,
            "figures": len(each.errors),
            "median": statistics.median(each.errors),
            "least": min(each.errors),
            "most": max(each.errors),
        }
        for each in every
    ]
    error, count = widest(every)
    ratio = widest_ratio(every)
    note = f"{COVERAGE:.0%} of the {count} errors are within a factor of {1 + error:.2f}, of ratios {1 + ratio:.2f}."
    figures = {"transfer_factor": f"{1 + error:.2f}", "transfer_ratio": f"{1 + ratio:.2f}"}
    return Table("Constants of another core, by rule", _TRANSFERS, rows, [note], figures)
