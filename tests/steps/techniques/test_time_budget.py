"""A budget of time: the channels go that cost most of it, by curves that were counted or by operations."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebuild.nn import checkpoint, records
from edgebuild.nn.prune.time_budget import TimeBudget
from edgebuild.nn.prune.work import layer_work
from edgebuild.spec import documents, notes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import FILE, LayerShape, LayerShapes, Width, WidthCurve, WidthCurves
from edgebuild.spec.files import check
from edgebuild.steps.evidence.layer_shapes import LayerShapes as Shapes
from edgebuild.steps.techniques.prune_channels import PruneChannels
from tests import tiny

STEP = PruneChannels(budget=TimeBudget(0.5), round_to=4, examples=64)


def operations(folder: Path) -> int:
    model = checkpoint.load(folder)
    return sum(one.shape.macs for one in layer_work(model.module, model.example()))


def performed(made: tiny.Made, folder: Path, step: PruneChannels = STEP, **widths: Path) -> dict[str, Any]:
    inputs = {"model": ("torch", made["float"]), "data": ("data", made["data"])}
    inputs |= {f"widths/{name}": ("evidence", place) for name, place in widths.items()}
    record: dict[str, Any] = json.loads((tiny.perform(step, folder, inputs) / records.FILE).read_text())
    return record


def test_without_a_core_that_counts_operations_stand_in_and_the_report_says_so(made: tiny.Made, tmp_path: Path) -> None:
    record = performed(made, tmp_path / "out")
    left = operations(tmp_path / "out") / operations(made["float"])
    assert record["sensitivity"]["time"] == {
        "asked": 0.5,
        "left": pytest.approx(left),
        "counted": False,
        "runtimes": {},
    }
    assert 0.4 < left <= 0.5
    assert all(left % 4 == 0 for left, _ in record["left"].values())
    (line,) = notes.read(tmp_path / "out")
    assert line.startswith("no emulated core counts for this target: multiply-accumulates stand in for time; ")


def curves(made: tiny.Made, folder: Path) -> Path:
    """By operations, but for layers that read fewer than 16 channels: their time is the same at every width."""
    shapes = tiny.perform(Shapes(), folder / "shapes", {"model": ("torch", made["float"])})
    known = documents.read(LayerShapes, shapes / FILE).shapes
    (folder / "widths").mkdir()
    documents.write(folder / "widths" / FILE, WidthCurves(tuple(map(curve, known))))
    return folder / "widths"


def curve(shape: LayerShape) -> WidthCurve:
    def side(channels: int) -> tuple[Width, ...]:
        stays = shape.inputs < 16
        return tuple(
            Width(width, shape.macs * (1.0 if stays else width / channels)) for width in (channels // 2, channels)
        )

    return WidthCurve(shape, side(shape.outputs), side(shape.inputs) if shape.inputs > 1 else ())


def test_by_curves_of_the_target_the_layers_go_whose_time_falls(made: tiny.Made, tmp_path: Path) -> None:
    record = performed(made, tmp_path / "out", tflite=curves(made, tmp_path))
    time = record["sensitivity"]["time"]
    assert time["counted"]
    assert time["runtimes"] == {"tflite": pytest.approx(time["left"])}
    assert time["left"] <= 0.5
    (line,) = notes.read(tmp_path / "out")
    assert line == f"{time['left']:.0%} of the layers' counted time are left (tflite {time['left']:.0%})"
    by_operations = performed(made, tmp_path / "other")
    assert record["left"] != by_operations["left"]


def test_shapes_are_the_same_for_other_weights(made: tiny.Made, tmp_path: Path) -> None:
    files = [
        (tiny.perform(Shapes(), tmp_path / name, {"model": ("torch", made[name])}) / FILE).read_bytes()
        for name in ("float", "log2", "pruned")
    ]
    assert files[0] == files[1] != files[2]


def test_a_share_that_no_widths_reach_is_refused_with_the_least_that_they_do(made: tiny.Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"of the layers' time is left when every group has its least width") as caught:
        performed(made, tmp_path / "out", replace(STEP, budget=TimeBudget(0.001)))
    assert "ask for" in str(caught.value.hint)


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.2])
def test_a_share_of_the_time_is_between_none_and_all(share: float) -> None:
    with pytest.raises(UsageError, match=r"recipe\[0\]\.budget"):
        check(PruneChannels, {"budget": {"time": share}}, file="t.toml", prefix="recipe[0]")


def test_both_kinds_of_budget_are_read() -> None:
    timed: Any = check(PruneChannels, {"budget": {"time": 0.4}}, file="t.toml", prefix="recipe[0]")
    exact: Any = check(PruneChannels, {"budget": "1 pp"}, file="t.toml", prefix="recipe[0]")
    assert (timed.budget, exact.budget) == (TimeBudget(0.4), 0.01)
