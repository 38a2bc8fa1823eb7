"""Latency that is predicted from counted work, calibrated against what others measured on real boards."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks._bands import COVERAGE
from benchmarks._calibrating import Asked, Calibration, calibrate, fitted_error, unknown_threads
from benchmarks._counting import Work, works
from benchmarks._project import target
from benchmarks._published import LEFT_OUT
from benchmarks._tables import Row, Table
from benchmarks.mobilenets import MOBILENETS, TITLES
from edgebuild.devices.timing import predicted
from edgebuild.spec import documents
from edgebuild.spec.core import TimeModel
from edgebuild.spec.target import Target

CORES = {"rpi4": "cortex-a72", "rpi5": "cortex-a76", "rpi3": "cortex-a53"}
_THREADS = (1, 4)
_NUMBERS = ("float", "int8")
_MODEL = {"model": ("model", ""), "numbers": ("numbers", "")}
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
    "figures": ("all figures", "d"),
    "median": ("median error", ".0%"),
    "band": ("band", ".0%"),
    "rule": ("rule", ""),
}
_PREDICTED = {
    "one": ("1 thread, ms", ".1f"),
    "one_low": ("low", ".1f"),
    "one_high": ("high", ".1f"),
    "four": ("4 threads, ms", ".1f"),
    "four_low": ("low", ".1f"),
    "four_high": ("high", ".1f"),
}
_COUNTED = {
    "operators": ("operators", ",d"),
    "instructions": ("instructions", ",d"),
    "cycles": ("cycles", ",.0f"),
    "l1d": ("L1 data misses", ",d"),
    "l2": ("L2 misses", ",d"),
    "l3": ("L3 misses", ",d"),
}


def run(*, small: bool) -> list[Table]:
    """Calibrate each core, and predict the MobileNets of each target; `small`: predict a tiny network of one."""
    if small:
        return _shown(target("rpi4"), ("tiny",))
    calibrated = {name: calibrate(target(name), _model(target(name)), core) for name, core in CORES.items()}
    tables = [table for calibration in calibrated.values() for table in _calibration(calibration)]
    tables += [_unknown(calibrated["rpi5"])]
    return tables + [table for name in CORES for table in _shown(target(name), MOBILENETS)]


def _calibration(calibration: Calibration) -> list[Table]:
    """What the constants were fitted to, what they were held against, and the bands that follow."""
    name, model = calibration.target.name, calibration.chosen.model
    left_out = [_asked(each) | {"fitted_error": fitted_error(each, model)} for each in calibration.left_out]
    tested = [_asked(each) | {"inside": _inside(calibration, each)} for each in calibration.tested]
    shown = _MODEL | _WHERE | _PUBLISHED
    figures = {f"{name}_dram": f"{model.dram / 1e9:.2f}", f"{name}_ratio": f"{calibration.ratio():.0%}"}
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


def _asked(asked: Asked) -> dict[str, Any]:
    figure = asked.figure
    return {
        "model": asked.name,
        "net": figure.net,
        "numbers": figure.numbers,
        "device": figure.device,
        "runtime": figure.runtime,
        "threads": figure.threads,
        "published": figure.milliseconds,
        "unseen": 1e3 * asked.seconds,
        "error": math.expm1(asked.log_error),
    }


def _inside(calibration: Calibration, asked: Asked) -> bool | None:
    band = calibration.forecast(asked)
    return None if band is None else abs(asked.log_error) <= math.log1p(band)


def _sources(asked: Sequence[Asked]) -> list[str]:
    return [f"Published: {source}." for source in dict.fromkeys(each.figure.source for each in asked)]


def _summaries(name: str, rows: Sequence[Row]) -> dict[str, str]:
    if not rows:
        return {}
    inside = [row["inside"] for row in rows if row["inside"] is not None]
    median = statistics.median(abs(row["error"]) for row in rows)
    return {
        f"{name}_tested": str(len(rows)),
        f"{name}_median": f"{median:.0%}",
        f"{name}_inside": f"{sum(inside)} of {len(inside)}",
    }


def _summary(rows: Sequence[Row]) -> list[str]:
    told = _summaries("", rows)
    return [f"Median error {told['_median']} over {told['_tested']} figures; inside {told['_inside']}."] if told else []


def _unknown(calibration: Calibration) -> Table:
    """Figures whose threads nobody knows: what they would be on one thread and on four."""
    rows = [
        _asked(one) | {"one": 1e3 * one.seconds, "four": 1e3 * four.seconds}
        for one, four in unknown_threads(calibration.target, calibration.chosen.model, "cortex-a76", _THREADS)
    ]
    times = {"one": ("1 thread, ms", ".1f"), "four": ("4 threads, ms", ".1f")}
    shown = _MODEL | {"device": ("device", ""), "runtime": ("runtime", "")} | _PUBLISHED | times
    left = [f"Left out: {each['what']}: {each['why']}." for each in LEFT_OUT]
    return Table("Figures whose threads nobody states", shown, rows, left)


def _shown(found: Target, nets: Sequence[str]) -> list[Table]:
    """What a target predicts with the constants and the bands of its profile, and what was counted for it."""
    counted = [(net, numbers, work) for net in nets for numbers, work in works(found, net, "tflite").items()]
    rows = [_predicted(found, net, numbers, work) for net, numbers, work in counted]
    figures = {
        f"{found.name}_{row['net']}_{row['numbers']}_{key}": f"{row[key]:.1f}"
        for row in rows
        for key in ("one", "four")
    }
    notes = [f"Of the target's profile: {each}." for each in _model(found).sources]
    times = Table(f"{found.name}: {found.description}", _MODEL | _PREDICTED, rows, notes, figures)
    return [times, Table(f"{found.name}: counted work of one inference", _MODEL | _COUNTED, rows)]


def _predicted(found: Target, net: str, numbers: str, work: Work) -> dict[str, Any]:
    model, row = _model(found), dict[str, Any](model=TITLES[net], net=net, numbers=numbers)
    for key, threads in zip(("one", "four"), _THREADS, strict=True):
        ms = 1e3 * predicted.seconds(work.whole, model, found.hardware.core_clock, threads)
        band = model.band("tflite", threads).error
        row |= {key: ms, f"{key}_low": ms * (1 - band), f"{key}_high": ms * (1 + band)}
    counted = work.counted
    misses = {name: counted.caches[name].misses if name in counted.caches else None for name in ("l1d", "l2", "l3")}
    row |= {"operators": sum(work.operators.values()), "instructions": counted.instructions, "cycles": counted.cycles}
    return row | misses | {"counted": documents.to_json(work.whole)}


def _model(found: Target) -> TimeModel:
    core = found.hardware.core
    assert core is not None  # a target of CORES models time
    assert core.time is not None
    return core.time
