"""Latency that is predicted from counted work, calibrated against what others measured on real boards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks._calibrating import calibrate
from benchmarks._calibration_tables import MODEL, THREADS, tables_of, transfer_table, unknown
from benchmarks._counting import Work, works
from benchmarks._foreign_bands import foreign_table
from benchmarks._later import later_table
from benchmarks._project import target
from benchmarks._tables import Table
from benchmarks._transfer import transfers
from benchmarks._wider_bands import wider
from benchmarks.mobilenets import MOBILENETS, TITLES
from edgebuild.devices.timing import predicted
from edgebuild.spec import documents
from edgebuild.spec.core import TimeModel
from edgebuild.spec.target import Target

CORES = {"rpi4": "cortex-a72", "rpi5": "cortex-a76", "rpi3": "cortex-a53"}
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
    every = [*calibrated.values()]
    tables = [table for calibration in every for table in tables_of(calibration, every)]
    tables += [transfer_table(transfers(every)), unknown(calibrated["rpi5"])]
    shown = [table for name in CORES for table in _shown(target(name), MOBILENETS)]
    return [*tables, *shown, wider(tables, [*CORES]), foreign_table(every), later_table(every)]


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
    times = Table(f"{found.name}: {found.description}", MODEL | _PREDICTED, rows, notes, figures)
    return [times, Table(f"{found.name}: counted work of one inference", MODEL | _COUNTED, rows)]


def _predicted(found: Target, net: str, numbers: str, work: Work) -> dict[str, Any]:
    model, row = _model(found), dict[str, Any](model=TITLES[net], net=net, numbers=numbers)
    for key, threads in zip(("one", "four"), THREADS, strict=True):
        ms = 1e3 * predicted.seconds(work.whole, model, found.hardware.core_clock, threads)
        low, high = model.band("tflite", threads).limits(ms)
        row |= {key: ms, f"{key}_low": low, f"{key}_high": high}
    counted = work.counted
    misses = {name: counted.caches[name].misses if name in counted.caches else None for name in ("l1d", "l2", "l3")}
    row |= {"operators": sum(work.operators.values()), "instructions": counted.instructions, "cycles": counted.cycles}
    return row | misses | {"counted": documents.to_json(work.whole)}


def _model(found: Target) -> TimeModel:
    core = found.hardware.core
    assert core is not None  # a target of CORES models time
    assert core.time is not None
    return core.time
