"""Latency that is predicted from counted work, beside what others measured on real boards."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._fitting import Point, error, fitted, left_out
from benchmarks._project import target
from benchmarks._published import FIGURES, OTHER_RUNTIME, Published
from benchmarks._tables import Row, Table
from benchmarks.mobilenets import File, build, nets
from edgebuild.devices.timing import predicted
from edgebuild.spec import documents
from edgebuild.spec.core import TimeModel
from edgebuild.spec.evidence import Counted
from edgebuild.spec.target import Target
from edgebuild.verbs import bench

TARGETS = ("rpi4", "mobile-cpu")
THREADS = 4  # of every published figure
_OLDER = ("v1", "v2")
_TIMES = ("one", "four")
_MODEL = {"model": ("LiteRT model", ""), "numbers": ("numbers", "")}
_PREDICTED = {
    "one": ("1 thread, ms", ".1f"),
    "one_low": ("low", ".1f"),
    "one_high": ("high", ".1f"),
    "four": ("4 threads, ms", ".1f"),
    "four_low": ("low", ".1f"),
    "four_high": ("high", ".1f"),
}
_COMPARED = {
    "published": ("published, ms", "g"),
    "error": ("error", "+.0%"),
    "inside": ("inside the band", ""),
}
_LEFT_OUT = {
    "dram": ("memory rate fitted to the others, GB/s", ".2f"),
    "published": ("published, ms", "g"),
    "unseen": ("predicted, ms", ".1f"),
    "unseen_error": ("error", "+.0%"),
}
_COUNTED = {
    "instructions": ("instructions", ",d"),
    "cycles": ("cycles", ",.0f"),
    "l1d": ("L1 data misses", ",d"),
    "l2": ("L2 misses", ",d"),
    "l3": ("L3 misses", ",d"),
}


def run(*, small: bool) -> list[Table]:
    """Float and int8 TFLite files of four MobileNets, on each target that predicts time; `small`: of a tiny one."""
    targets = [target(name) for name in TARGETS[: 1 if small else None]]
    with tempfile.TemporaryDirectory() as folder:
        files = [file for net in nets(small) for file in build(Path(folder), net, "tflite")]
        return [table for each in targets for table in _tables(each, files)]


def _tables(found: Target, files: Sequence[File]) -> list[Table]:
    rows = [_row(found, file) for file in files]
    shown = _MODEL | _PREDICTED | _COMPARED
    figures = {f"{found.name}_{row['net']}_{row['numbers']}_{key}": f"{row[key]:.1f}" for row in rows for key in _TIMES}
    unseen = _unseen(found, rows)
    rows = [_plain(row) for row in rows]
    latency = Table(f"{found.name}: {found.description}", shown, rows, _notes(found, rows), figures)
    work = Table(f"{found.name}: counted work of one inference", _MODEL | _COUNTED, rows)
    return [latency, *unseen, work]


def _row(found: Target, file: File) -> dict[str, Any]:
    counted = bench.run(file.path, found).counted
    assert counted is not None  # target() has made sure of the emulator
    key = (found.name, file.net, file.numbers)
    known = FIGURES.get(key) or OTHER_RUNTIME.get(key)
    one, four = _interval(found, counted, "one", 1), _interval(found, counted, "four", THREADS)
    named = {"net": file.net, "model": file.title, "numbers": file.numbers}
    return named | one | four | _compared(four, known) | _work(counted) | {"counted": counted}


def _plain(row: Row) -> dict[str, Any]:
    """The row as a result keeps it."""
    return {**row, "counted": documents.to_json(row["counted"])}


def _unseen(found: Target, rows: Sequence[Row]) -> list[Table]:
    """How well a rate fitted to the other published figures of the same runtime predicts each one."""
    chosen = [row for row in rows if (found.name, row["net"], row["numbers"]) in FIGURES]
    if not chosen:
        return []
    points = [Point(row["model"], row["counted"], row["published"], THREADS) for row in chosen]
    model, clock = _model(found), found.hardware.core_clock
    results = [
        {
            **row,
            "counted": documents.to_json(row["counted"]),
            "dram": each.dram / 1e9,
            "unseen": row["published"] * (1 + wrong),
            "unseen_error": wrong,
        }
        for row, (each, wrong) in zip(chosen, left_out(points, model, clock), strict=True)
    ]
    best = fitted(points, model, clock).dram / 1e9
    notes = [
        f"The profile's rate, {model.dram / 1e9:.2f} GB/s, was chosen with all {len(points)} figures in sight, so the "
        f"errors of the first table are none of a forecast. Fitted to all of them it would be {best:.2f} GB/s.",
    ]
    older = _older(points, [row["net"] in _OLDER for row in chosen], model, clock)
    title, shown = f"{found.name}: each model predicted from the others alone", _MODEL | _LEFT_OUT
    return [Table(title, shown, results, [*notes, older], {"older": older})]


def _older(points: Sequence[Point], older: Sequence[bool], model: TimeModel, clock: float) -> str:
    """How a rate fitted to the older networks alone fares on the newer ones."""
    found = fitted([point for point, old in zip(points, older, strict=True) if old], model, clock)
    newer = [point for point, old in zip(points, older, strict=True) if not old]
    told = ", ".join(f"{point.name} {error(point, found, clock):+.0%}" for point in newer)
    return f"Fitted to V1 and V2 alone it would be {found.dram / 1e9:.2f} GB/s, and the errors on the others {told}."


def _interval(found: Target, counted: Counted, name: str, threads: int) -> dict[str, float]:
    """Milliseconds with the target's own band."""
    model = _model(found)
    ms, band = 1e3 * predicted.seconds(counted, model, found.hardware.core_clock, threads), model.band(threads)
    return {name: ms, f"{name}_low": ms * (1 - band), f"{name}_high": ms * (1 + band)}


def _model(found: Target) -> TimeModel:
    core = found.hardware.core
    assert core is not None  # a target of TARGETS models time
    assert core.time is not None
    return core.time


def _compared(four: Mapping[str, float], known: Published | None) -> dict[str, Any]:
    if known is None:
        return dict.fromkeys(_COMPARED)
    inside = four["four_low"] <= known.milliseconds <= four["four_high"]
    return {"published": known.milliseconds, "error": four["four"] / known.milliseconds - 1, "inside": inside}


def _work(counted: Counted) -> dict[str, Any]:
    misses = {name: counted.caches[name].misses if name in counted.caches else None for name in ("l1d", "l2", "l3")}
    return {"instructions": counted.instructions, "cycles": counted.cycles, **misses}


def _notes(found: Target, rows: Sequence[Row]) -> list[str]:
    published = {each.source for (name, *_), each in (FIGURES | OTHER_RUNTIME).items() if name == found.name}
    errors = [abs(row["error"]) for row in rows if row["error"] is not None]
    return [
        f"Largest error {max(errors, default=0):.0%} over {len(errors)} published figures.",
        *(f"Published: {each}." for each in sorted(published)),
        *(f"Of the target's profile: {each}." for each in _model(found).sources),
    ]
