"""Bands of other kernel libraries, made of the errors on other cores."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks._bands import band
from benchmarks._calibrating import Calibration, Prediction
from benchmarks._counting import Work
from benchmarks._fitting import Fit
from benchmarks._foreign_bands import forecast, foreign_table
from benchmarks._published import FIGURES, Figure
from benchmarks._tables import read
from benchmarks.emulator_latency import CORES
from edgebuild.devices.timing import predicted
from edgebuild.spec import documents
from edgebuild.spec.core import Band, TimeModel
from edgebuild.spec.evidence import Counted
from edgebuild.spec.project import open_project
from tests import ROOT

PROJECT = open_project(ROOT)
MODEL = TimeModel("a-core", 1e9, {"l1d": 0.0}, (Band(1, 0.3),), 0.2, ("made up",))
FOREIGN = next(each for each in FIGURES if not each.same_kernels)


def prediction(core: str, threads: int, error: float, *, same: bool = False) -> Prediction:
    """A figure of 10 ms whose prediction is `error` too large, as a logarithm."""
    figure = replace(FOREIGN, core=core, threads=threads, milliseconds=10.0, same_kernels=same)
    return Prediction(figure, Work("", {}, Counted(1, {}, {}, 1.0, 1.0)), 0.01 * math.exp(error))


def calibration(name: str, *tested: Prediction) -> Calibration:
    return Calibration(PROJECT.target(name), (), Fit((), MODEL, ()), (), tested)


def test_a_figure_helps_neither_its_own_band_nor_that_of_its_cores_others() -> None:
    """Nine errors of other cores on as many threads make it, whatever the own core's are."""
    others = calibration("rpi4", *(prediction("a72", 4, 0.01 * number) for number in range(1, 10)))
    for own in (0.02, 3.0):
        made = forecast(
            prediction("a76", 4, own),
            [others, calibration("rpi5", prediction("a76", 4, own), prediction("a76", 4, 5.0))],
        )
        assert made is not None
        assert (made.rule, made.figures, made.threads) == ("conformal", 9, 4)
        assert made.error == pytest.approx(band([0.01 * number for number in range(1, 10)])[0])
        assert made.covers(prediction("a76", 4, own)) == (own < 0.09)


def test_numbers_of_threads_stay_apart_only_where_each_has_enough_figures_for_a_quantile() -> None:
    one, four, held = prediction("a72", 1, 0.3), prediction("a72", 4, 0.1), prediction("a76", 4, 0.2)
    few = forecast(held, [calibration("rpi4", one, *[four] * 8)])
    many = forecast(held, [calibration("rpi4", one, *[four] * 9)])
    assert few is not None
    assert many is not None
    assert (few.figures, few.threads, few.covers(held)) == (9, None, True)
    assert (many.figures, many.threads, many.covers(held)) == (9, 4, False)
    told = foreign_table([calibration("rpi4", one, *[four] * 8), calibration("rpi5", held)])
    assert told.figures["rpi5_4_apart_inside"] == "0 of 1"
    assert [note for note in told.notes if note.startswith("rpi5, threads 4: the 8 figures on as many threads")]


def test_a_figure_of_the_emulated_library_has_no_such_band_and_makes_none() -> None:
    own = [prediction("a72", 4, 0.01 * number) for number in range(9)] + [prediction("a72", 4, 9.0, same=True)]
    every = [
        calibration("rpi4", *own),
        calibration("rpi5", prediction("a76", 4, 0.5), prediction("a76", 4, 0.5, same=True)),
    ]
    assert forecast(prediction("a76", 4, 0.1, same=True), every) is None
    made = forecast(prediction("a76", 4, 0.1), every)
    assert made is not None
    assert math.log1p(made.error) == pytest.approx(0.08)
    rows = {row["target"]: row for row in foreign_table(every).rows}
    assert (rows["rpi5"]["inside"], rows["rpi5"]["held"]) == (0, 1)


@pytest.mark.parametrize("name", CORES)
def test_kept_predictions_follow_from_the_counted_work_that_is_kept_with_them(name: str) -> None:
    """Anybody can predict the held-out figures anew without an emulator."""
    tables = {table.title: table for table in read(ROOT / "benchmarks" / "results", "emulator_latency")}
    (taken,) = (row for row in tables[f"{name}: which terms forecast best"].rows if row["taken"])
    core = PROJECT.target(name).hardware.core
    assert core is not None
    assert core.time is not None
    model = replace(core.time, dram=taken["dram"] * 1e9, fork_join=taken["fork_join"] * 1e-6)
    model = replace(
        model, miss_cycles={each: taken["misses"] if value else 0.0 for each, value in model.miss_cycles.items()}
    )
    for row in tables[f"{name}: held against, fitted to none"].rows:
        counted = documents.from_json(Counted, row["counted"], file=row["model"])
        ms = 1e3 * predicted.seconds(counted, model, figure(name, row).clock, row["threads"])
        assert ms == pytest.approx(row["unseen"], rel=1e-6)


def figure(name: str, row: dict[str, object]) -> Figure:
    keys = ("net", "numbers", "device", "runtime", "threads")
    found = [each for each in FIGURES if [getattr(each, key) for key in keys] == [row[key] for key in keys]]
    (only,) = (each for each in found if each.core == CORES[name])
    return only
