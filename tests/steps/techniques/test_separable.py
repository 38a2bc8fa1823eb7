"""Depthwise-separable convolutions and rectifiers: they are in the file, and refused where they cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch

from edgebuild.nn import checkpoint, records
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.nn.prune.time_budget import TimeBudget
from edgebuild.nn.restructure import sites
from edgebuild.nn.restructure.decoupling import Separated
from edgebuild.nn.restructure.rectifying import Activations
from edgebuild.nn.restructure.times import Exchange, Times
from edgebuild.spec import documents, notes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import FILE, LayerShape, LayerShapes, Width, WidthCurve, WidthCurves
from edgebuild.spec.signature import TensorSpec
from edgebuild.spec.technique import Shapes
from edgebuild.steps.convert import Convert
from edgebuild.steps.evidence.layer_shapes import LayerShapes as LayerShapesOf
from edgebuild.steps.techniques.low_rank import LowRank
from edgebuild.steps.techniques.rectify import Rectify
from edgebuild.steps.techniques.separable import Separable
from tests import tiny

SWISH = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv1d(2, 3, 3), nn.Hardswish(), nn.Conv1d(3, 3, 3), nn.Hardswish(), nn.SiLU())
"""


def perform(step: Separable, made: tiny.Made, out: Path, **widths: Path) -> Path:
    inputs = {"model": ("torch", made["float"]), "data": ("data", made["data"])}
    return tiny.perform(step, out, inputs | {f"widths/{name}": ("evidence", place) for name, place in widths.items()})


def counted(model: Path, shapes: Shapes, folder: Path, seconds: Callable[[LayerShape], float]) -> Path:
    """What a core would say of these layers."""
    made = tiny.perform(LayerShapesOf(shapes), folder / "shapes", {"model": ("torch", model)})
    known = documents.read(LayerShapes, made / FILE).shapes
    (folder / "widths").mkdir()
    curves = tuple(WidthCurve(shape, (Width(shape.outputs, seconds(shape)),), ()) for shape in known)
    documents.write(folder / "widths" / FILE, WidthCurves(curves, 0.2))
    return folder / "widths"


def test_as_many_convolutions_change_as_leave_that_share_of_the_work(made: tiny.Made, tmp_path: Path) -> None:
    done = perform(Separable(TimeBudget(0.6), examples=48), made, tmp_path / "out")
    record = json.loads((done / records.FILE).read_text())
    before, after = record["macs"]
    assert 0.2 < after / before <= 0.6
    model = checkpoint.load(done)
    assert after == sites.total(model.module, model.example())
    assert {swap.path for swap in model.swaps} == {*record["replaced"]} < {*record["alone"]}
    file = tiny.perform(Convert("onnx"), tmp_path / "file", {"model": ("torch", done)}) / "model.onnx"
    groups = {
        n.name: next(a.i for a in n.attribute if a.name == "group")
        for n in onnx.load(file).graph.node
        if n.op_type == "Conv"
    }
    name = record["replaced"][0]
    assert groups[f"{name}.depthwise"] > groups[f"{name}.pointwise"] == 1
    count, left, exchanged, stay = notes.read(done)
    assert count == f"{len(record['replaced'])} of {len(record['alone'])} convolutions are depthwise-separable"
    assert left.startswith("no emulated core counts for this target: multiply-accumulates stand in for time; ")
    assert exchanged.startswith("exchanged, multiply-accumulates: '")
    assert stay.endswith("(not needed)")


def test_only_what_saves_time_on_the_target_changes(made: tiny.Made, tmp_path: Path) -> None:
    def seconds(shape: LayerShape) -> float:
        """A depthwise kernel of 16 channels is slow; one of 32 leaves nine tenths, within the error of a fifth."""
        each = {16: 1e6, 32: 32 * (0.9 - 1 / 9)}.get(shape.groups, 1.0)
        return 1e-9 * shape.macs * each

    times = counted(made["float"], Separated(1), tmp_path, seconds)
    done = perform(Separable(TimeBudget(0.7), examples=48), made, tmp_path / "out", tflite=times)
    record, lines = json.loads((done / records.FILE).read_text()), notes.read(done)
    saving = {name for name, one in record["alone"].items() if one["after"]["tflite"] < 0.8 * one["before"]["tflite"]}
    assert {*record["replaced"]} <= saving < {*record["alone"]}
    assert {name for name, one in record["alone"].items() if "loss" in one} == saving  # others are not even tried
    assert (
        lines[1]
        == f"{record['time']['left']:.0%} of the layers' counted time are left (tflite {record['time']['left']:.0%})"
    )
    assert record["time"]["left"] <= 0.7
    assert lines[2].startswith("exchanged, counted time in tflite: '")
    assert lines[3].startswith("left, counted time in tflite: '")
    assert "(it would take longer)" in lines[3]
    assert "(within the error of ±20%)" in lines[3]


def test_a_share_that_cannot_be_reached_and_a_budget_that_none_keeps_are_refused(
    made: tiny.Made, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"^separable.budget.time: 0\.\d\d of the layers' time is left when every"):
        perform(Separable(TimeBudget(0.01), examples=48), made, tmp_path / "a")
    with pytest.raises(UsageError, match=r"^separable: no convolution would take fewer multiplications with 9 kernels"):
        perform(Separable(kernels=9, examples=48), made, tmp_path / "b")
    never = counted(made["float"], Separated(1), tmp_path, lambda shape: 1e-9 * shape.macs + (shape.groups > 1))
    with pytest.raises(UsageError, match=r"^separable: no convolution would take less time on the target .* longer\)"):
        perform(Separable(examples=48), made, tmp_path / "c", onnx=never)


@pytest.fixture
def swish(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.py").write_text(SWISH)
    code, inputs = ModelCode(tmp_path / "source", "models/m"), (TensorSpec("x", (2, 9)),)
    (tmp_path / "model").mkdir()
    checkpoint.save(Checkpoint(code.build("build", inputs), code, "build", inputs), tmp_path / "model")
    return tmp_path / "model"


def test_smooth_activations_become_rectifiers_by_their_class(swish: Path, tmp_path: Path) -> None:
    given = {"model": ("torch", swish)}
    done = checkpoint.load(tiny.perform(Rectify(keep=("3",)), tmp_path / "out", given))
    assert [type(done.module.get_submodule(name)) for name in "134"] == [
        torch.nn.ReLU6,
        torch.nn.Hardswish,
        torch.nn.SiLU,
    ]
    with pytest.raises(
        UsageError, match=r"^rectify.activations: the model has no module nn.GELU or nn.Mish of one name"
    ):
        tiny.perform(Rectify(activations=("GELU", "Mish")), tmp_path / "none", given)


def test_activations_stay_that_take_no_time_on_the_target(swish: Path, tmp_path: Path) -> None:
    kinds = ("Hardswish", "SiLU")

    def seconds(shape: LayerShape) -> float:
        wide = shape.places == (3,) and shape.inputs == 7
        return {"Hardswish": 1e-6 if wide else 5e-7, "SiLU": 0.0, "ReLU6": 4.5e-7, "": 1e-6}[shape.function]

    times = counted(swish, Activations(kinds, "relu6"), tmp_path, seconds)
    given = {"model": ("torch", swish), "widths/tflite": ("evidence", times)}
    done = tiny.perform(Rectify(kinds), tmp_path / "out", given)
    assert [swap.path for swap in checkpoint.load(done).swaps] == ["1"]
    assert notes.read(done) == [
        "1 of 3 activations are relu6 now",
        "84% of the layers' counted time are left (tflite 84%)",
        "exchanged, counted time in tflite: '1' 1 → 0.45 µs",
        "left, counted time in tflite: '3' 0.5 → 0.45 µs (within the error of ±20%); "
        "'4' 0 → 0.45 µs (it would take longer)",
    ]
    with pytest.raises(
        UsageError,
        match=r"^rectify: no SiLU takes more time on the target than relu6: left, counted time in tflite: '4'",
    ):
        tiny.perform(Rectify(("SiLU",)), tmp_path / "none", given)


def test_what_is_less_than_two_files_of_the_same_differ_is_nothing() -> None:
    shape = LayerShape("activation", 8, 8, (4, 4), function="SiLU")
    curve = WidthCurve(shape, (Width(8, 2e-6),), ())
    for noise, told in ((1e-6, ""), (3e-6, "too little to tell")):
        clock = Times.of([shape], {"tflite": WidthCurves((curve,), 0.2, noise)})
        assert (clock.pays(Exchange((shape,))), clock.why_not(Exchange((shape,)))) == (not told, told)


def test_a_share_of_the_time_is_refused_where_nothing_counts(swish: Path, made: tiny.Made, tmp_path: Path) -> None:
    given = {"model": ("torch", swish), "data": ("data", made["data"])}
    with pytest.raises(UsageError, match=r"^rectify.budget.time: no emulated core counts for this target"):
        tiny.perform(Rectify(budget=TimeBudget(0.5)), tmp_path / "out", given)


ASKING = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv1d(16, 16, 3), nn.Conv1d(16, 16, 3), nn.Linear(80, 16)
    def forward(self, x):
        y = self.second(self.first(x).to(self.second.weight.dtype)).flatten(1)
        return self.head(y).view(-1, self.head.out_features)
"""


def test_layers_that_the_code_asks_for_their_weight_or_size_stay_and_are_named(made: tiny.Made, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.py").write_text(ASKING)
    code, inputs = ModelCode(tmp_path / "source", "models/m"), (TensorSpec("x", (16, 9)),)
    (tmp_path / "model").mkdir()
    checkpoint.save(Checkpoint(code.build("Net", inputs), code, "Net", inputs), tmp_path / "model")
    given = {"model": ("torch", tmp_path / "model")}
    done = tiny.perform(LowRank(energy=0.2), tmp_path / "out", given)
    assert [swap.path for swap in checkpoint.load(done).swaps] == ["first"]
    named = [line.partition(":")[0] for line in notes.read(done)[1:]]
    assert named == ["'second' stays as it is", "'head' stays as it is"]
    with pytest.raises(UsageError, match=r"^low_rank: nothing can be exchanged: 'second' stays as it is: with an"):
        tiny.perform(LowRank(energy=0.2, keep=("first",)), tmp_path / "none", given)
