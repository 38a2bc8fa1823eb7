"""Constants and bands that are fitted to published figures: on figures made up, and those of the targets that ship."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from benchmarks import _fitting
from benchmarks._bands import COVERAGE, band
from benchmarks._fitting import Point
from benchmarks._published import FIGURES, LEFT_OUT, MEMORY, NETS
from benchmarks._tables import read
from benchmarks.emulator_latency import CORES
from benchmarks.mobilenets import TITLES
from edgebuild.devices.timing import predicted
from edgebuild.spec.core import Band, TimeModel
from edgebuild.spec.evidence import CacheWork, Counted
from edgebuild.spec.project import open_project
from tests import ROOT

TRUE = TimeModel("a-core", 4e9, {"l1d": 0.0, "l1i": 0.0}, (Band(1, 0.3),), 0.25, ("made up",), fork_join=2e-5)
PROJECT = open_project(ROOT)


def points(noise: float) -> list[Point]:
    """Files of which the core needs what `TRUE` says, but for a little."""
    rng = np.random.default_rng(5)
    made = []
    for number in range(12):
        cycles, l1d, l2, operators = rng.uniform((2e7, 1e6, 1e5, 20), (4e8, 2e7, 2e6, 200)).tolist()
        caches = {name: CacheWork(10**8, int(each)) for name, each in (("l1i", 9.0), ("l1d", l1d), ("l2", l2))}
        counted, threads = Counted(10**9, {}, caches, cycles, 1.0, operators), 4 if number % 4 else 1
        ms = 1e3 * predicted.seconds(counted, TRUE, 1.5e9, threads) * math.exp(rng.normal(0, noise))
        made.append(Point(f"file {number}", counted, ms, threads, 1.5e9))
    return made


def test_a_fit_finds_the_constants_that_made_the_figures_with_the_fewest_terms_that_explain_them() -> None:
    fits = _fitting.candidates(points(0.01), replace(TRUE, dram=1e9, fork_join=None), 1e10)
    best = _fitting.chosen(fits)
    assert best.terms == ("dram", "fork_join")
    assert best.model.dram == pytest.approx(4e9, rel=0.1)
    assert best.model.fork_join == pytest.approx(2e-5, rel=0.1)
    assert best.spread < 0.02 < fits[0].spread


def test_what_a_figure_would_have_been_predicted_is_fitted_without_it() -> None:
    """One that is wrong by a factor of two pulls the fit, and its own error shows all of it."""
    good = points(0.0)
    wrong = [replace(good[1], milliseconds=2 * good[1].milliseconds), *good[2:]]
    fit = _fitting.candidates(wrong, TRUE, 1e10)[1]
    assert fit.unseen[0] == pytest.approx(-math.log(2), rel=1e-3)
    assert abs(_fitting.log_error(wrong[0], fit.model)) < math.log(2)


def test_a_band_covers_as_many_as_it_says_whatever_the_errors_distribution() -> None:
    rng = np.random.default_rng(7)
    for draw in (rng.standard_cauchy, rng.standard_normal):
        errors = 0.1 * draw((4000, 20))
        covered = [abs(row[-1]) <= math.log1p(band(row[:-1].tolist())[0]) for row in errors]
        assert COVERAGE - 0.015 < np.mean(covered) < COVERAGE + 0.03


def test_a_band_of_few_errors_is_never_narrower_than_the_largest_and_wider_than_they_show() -> None:
    errors = [0.1, -0.1, 0.1]
    error, rule = band(errors)
    assert rule == "student"
    assert math.log1p(error) == pytest.approx(float(t.ppf(0.95, 3)) * 0.1)
    assert math.log1p(band([0.01] * 7 + [0.3])[0]) == pytest.approx(0.3)  # not even by normal errors


def test_every_published_figure_is_of_a_network_that_can_be_built_and_of_a_core_that_is_calibrated() -> None:
    assert {each.net for each in FIGURES} <= {*NETS, *TITLES}
    assert {each.core for each in FIGURES} == {*CORES.values()}
    assert {each.set for each in FIGURES} == {"fit", "test", "later"}
    assert len({(each.net, each.numbers, each.device, each.runtime, each.threads) for each in FIGURES}) == len(FIGURES)
    assert all(each["what"] and each["why"] for each in LEFT_OUT)


@pytest.mark.parametrize("name", CORES)
def test_a_targets_constants_and_bands_are_those_that_the_kept_results_fitted(name: str) -> None:
    """Rounded to what its file shows; a band is never rounded down by half a per cent."""
    core = PROJECT.target(name).hardware.core
    assert core is not None
    assert core.time is not None
    tables = {table.title: table for table in read(ROOT / "benchmarks" / "results", "emulator_latency")}
    (taken,) = (row for row in tables[f"{name}: which terms forecast best"].rows if row["taken"])
    assert core.time.dram == pytest.approx(taken["dram"] * 1e9, rel=0.01)
    assert (core.time.fork_join or 0.0) == pytest.approx(taken["fork_join"] * 1e-6, abs=5e-8)
    assert max(core.time.miss_cycles.values()) == pytest.approx(taken["misses"], abs=0.05)
    figures = {figure: value for table in tables.values() for figure, value in table.figures.items()}
    assert f"{core.time.band('onnx', 4).error:.0%}" == figures[f"{name}_any"]
    assert core.time.band("onnx", 1).basis == "not calibrated"
    assert f"{core.time.ratio_band:.0%}" == figures[f"{name}_ratio"]
    for row in tables[f"{name}: bands"].rows:
        stated = core.time.band(row["format"], row["threads"])
        assert (stated.threads, stated.figures, stated.coverage) == (row["threads"], row["figures"], COVERAGE)
        assert row["band"] - 0.005 <= stated.error <= row["band"] + 0.01


def test_a_target_without_figures_has_the_constants_of_the_core_that_it_names_or_of_the_rule() -> None:
    def time(name: str) -> TimeModel:
        core = PROJECT.target(name).hardware.core
        assert core is not None
        assert core.time is not None
        return core.time

    for name, source in (("mobile-cpu", "rpi5"), ("zero2w", "rpi3")):
        assert replace(time(name), sources=()) == replace(time(source), sources=())
        assert f"the constants and bands of {source}" in time(name).sources[0]
    known = time("rpi5")
    assert known.fork_join is not None
    tables = read(ROOT / "benchmarks" / "results", "emulator_latency")
    figures = {name: value for table in tables for name, value in table.figures.items()}
    for name, nominal in (("mobile-cpu-2022", 51.2e9), ("jetson-orin-nano", 68e9)):
        clock = PROJECT.target(name).hardware.core_clock
        assert time(name).dram == pytest.approx(known.dram / MEMORY["rpi5"] * nominal, rel=0.01)
        assert time(name).fork_join == pytest.approx(known.fork_join * 2.4e9 / clock, rel=0.01)
        assert time(name).band("tflite", 1).basis == "not calibrated"
        assert f"{1 + time(name).band('tflite', 1).error:.2f}" == figures["transfer_factor"]
        assert f"{1 + time(name).ratio_band:.2f}" == figures["transfer_ratio"]


def test_no_memory_is_fitted_to_be_faster_than_it_is() -> None:
    for fit in _fitting.candidates(points(0.01), TRUE, 3e9):
        assert fit.model.dram <= 3e9 * (1 + 1e-9)
