"""Figures that came after constants and bands had been stated."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks._calibrating import Calibration
from benchmarks._fitting import Fit
from benchmarks._foreign_bands import foreign_table
from benchmarks._later import later_table
from benchmarks._tables import read
from edgebuild.devices.timing import predicted
from edgebuild.spec import documents
from edgebuild.spec.evidence import Counted
from tests import ROOT
from tests.benchmarks.test_foreign_bands import MODEL, PROJECT, figure, prediction


def calibration(*later: float) -> Calibration:
    tested = tuple(prediction("cortex-a76", 4, error, same=True) for error in (0.1, -0.05, 0.02, 0.03, -0.1))
    after = tuple(prediction("cortex-a76", 4, error, same=True) for error in later)
    return Calibration(PROJECT.target("rpi5"), (), Fit((), MODEL, ()), (), tested, after)


def test_a_later_figure_makes_no_band() -> None:
    before, after = calibration(), calibration(0.7)
    assert after.margins() == before.margins()
    assert (after.any_runtime(), after.ratio()) == (before.any_runtime(), before.ratio())
    assert not foreign_table([replace(after, later=(prediction("cortex-a76", 4, 0.7),))]).rows


def test_a_later_figure_is_inside_where_it_lies_between_the_limits_that_are_printed() -> None:
    """The band is that of the profile, and the note says what it would be by the rule with these."""
    core = PROJECT.target("rpi5").hardware.core
    assert core is not None
    assert core.time is not None
    stated = core.time.band("tflite", 4).error
    errors = (-math.log(1 + 0.99 * stated), -math.log(1 + 1.01 * stated), -math.log(1 - 0.99 * stated), 0.7)
    table = later_table([calibration(*errors)])
    assert [row["inside"] for row in table.rows] == [True, False, True, False]
    assert table.figures == {"later_inside": "2 of 4", "later_strictly": "1 of 4"}
    assert table.notes[-1].endswith(f"with these among its 9 figures the band would be {math.expm1(0.7):.0%}.")


def test_kept_later_predictions_are_the_profiles() -> None:
    tables = {table.title: table for table in read(ROOT / "benchmarks" / "results", "emulator_latency")}
    for row in tables["Held against constants and bands as they had been stated"].rows:
        core = PROJECT.target(row["target"]).hardware.core
        assert core is not None
        assert core.time is not None
        counted = documents.from_json(Counted, row["counted"], file=row["model"])
        seconds = predicted.seconds(counted, core.time, figure(row["target"], row).clock, row["threads"])
        assert 1e3 * seconds == pytest.approx(row["predicted"], rel=1e-6)
        limits = core.time.band("tflite", row["threads"]).limits(1e3 * seconds)
        assert limits == pytest.approx((row["low"], row["high"]), rel=1e-6)
