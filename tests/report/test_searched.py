"""What a search came to, for people: the points worth having, why others are not, and a picture with the gates."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgebuild.report import searched, searched_plot
from edgebuild.report.searching import Lines
from edgebuild.search.record import Baseline, Counts, Result
from edgebuild.search.trial import Loss, Miss, Point, Rung, Step, Trial
from edgebuild.spec.target import Gate

GATES = (Gate("accuracy", "1 pp"), Gate("size", "160 KiB"), Gate("latency", "-50 %"), Gate("parity", "1e-3"))


def point(seconds: float, size: int, lost: float | None = 0.0) -> Point:
    loss = None if lost is None else Loss("accuracy", "share", 300, lost, lost / 100, lost / 100 - 0.01, 0.012)
    return Point("tflite", seconds, 0.7 * seconds, 1.3 * seconds, 0.25, size, size, seconds / 3e-3, size / 1e6, loss)


def rejected(number: int, rung: Rung, excess: float, own: Point | None = None) -> Trial:
    miss = Miss("size", "160 KiB", excess, f"too large by {excess:.0%}")
    return Trial(number, {}, (Step("int8"),), rung, "rejected", str(miss), own, (miss,))


PASSING = Trial(
    4, {}, (Step("prune_channels", {"ratio": 0.5}), Step("int8")), "whole", "passes", "", point(4e-4, 93_000)
)


def result(trials: Sequence[Trial]) -> Result:
    baselines = {"onnx": Baseline(1_237_650, 4.1e-3), "tflite": Baseline(1_251_268, 2.9e-3)}
    taken = next((trial.number for trial in trials if trial.passes), None)
    counts = Counts(100, 30)
    return Result(
        "x", "rpi4", "digits", "s.toml", GATES, baselines, tuple(trials), "it was stopped", 60.0, counts, 12, taken
    )


TRIALS = (rejected(1, "bounded", 0.5), rejected(2, "counted", 0.1, point(1e-3, 180_000, None)), PASSING)


def test_points_have_their_intervals_and_every_other_recipe_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    searched.show(result(TRIALS), Path("plot.html"))
    out = capsys.readouterr().out
    assert "400 µs [280 µs, 520 µs]" in out
    assert "+0.00 pp [-1.00 pp, +1.20 pp] of 300" in out
    assert "rejected: size '160 KiB': too large by 10%" in out
    assert "3 recipes of 12 in 60 s: it was stopped; 70% of 100 steps came from the store" in out
    assert "next: edgebuild search --target rpi4 --model digits --prove builds #4 and judges" in out
    assert "--apply 4 builds #4 alone" in out
    assert out.index("#4") < out.index("#2") < out.index("#1")  # what passes, then what missed by least


def test_where_nothing_passes_the_gate_and_the_nearest_recipe_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    searched.show(result(TRIALS[:2]), Path("plot.html"))
    told = "no recipe passes size '160 KiB'; the nearest is #2 (int8): too large by 10%"
    assert told in capsys.readouterr().out
    assert searched.document(result(TRIALS[:2]), Path("plot.html"))["missed"] == told
    assert searched.document(result(TRIALS), Path("plot.html"))["missed"] is None


def test_the_picture_has_every_measured_recipe_and_the_gates_as_lines(tmp_path: Path) -> None:
    page = searched_plot.write(tmp_path, result(TRIALS)).read_text()
    pictures = [ElementTree.fromstring(f"<svg{part.partition('</svg>')[0]}</svg>") for part in page.split("<svg")[1:]]
    assert [len(picture.findall("circle")) for picture in pictures] == [2, 1]
    lines = [[text.text for text in picture.findall("text")] for picture in pictures]
    assert {"size 160 KiB", "latency -50 %"} <= {*lines[0]}
    assert {"all that may be lost", "latency -50 %"} <= {*lines[1]}
    assert "parity 1e-3" not in page


def test_a_gate_is_where_its_limit_is(tmp_path: Path) -> None:
    """Half of the slower float file's time, on a scale of logarithms, lies right of every faster recipe."""
    page = searched_plot.render(result(TRIALS))
    picture = ElementTree.fromstring(f"<svg{page.split('<svg')[1].partition('</svg>')[0]}</svg>")
    gate, line = (float(line.attrib["x1"]) for line in picture.findall("line")), picture.findall("circle")
    assert max(gate) > max(float(circle.attrib["cx"]) for circle in line)


def test_a_log_has_a_line_a_batch_with_the_best_so_far() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.advanced(result(TRIALS), 200, 120.0)
    lines.advanced(result(TRIALS[:2]), 200, 1800.0)
    lines.waiting("a", "another build runs it")
    lines.waiting("b", "another build runs it")
    assert stream.getvalue().splitlines() == [
        "done  3 of 200 recipes, 1 pass, 120 s left; best #4 400 µs, 90.8 KiB, +0.00 pp: "
        "prune_channels ratio=0.5 → int8",
        "done  2 of 200 recipes, 0 pass, 30 min left; nearest #2: size '160 KiB': too large by 10%",
        "wait  a  (another build runs it)",
    ]
