"""Time against width on the emulated core: it falls with the channels, by as much as kernels take at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebuild.devices.qemu import Qemu
from edgebuild.spec import documents
from edgebuild.spec.artifact import Input, StepIO
from edgebuild.spec.core import Band, TimeModel
from edgebuild.spec.evidence import FILE, LayerShape, LayerShapes, WidthCurve, WidthCurves
from edgebuild.steps.evidence.layer_times import LayerTimes

MODEL = TimeModel("cortex-a72", 2.75e9, {"l1d": 5.0, "l1i": 5.0}, (Band(1, 0.3),), 0.25, ("a test",))
PLAIN = LayerShape("convolution", 16, 16, (8, 8), 1, (3, 3), (1, 1), (1, 1), (1, 1))
DEPTHWISE = replace(PLAIN, groups=16)
GATE = LayerShape("gate", 64, 16, (16, 16))
SWISH = LayerShape("activation", 64, 64, (16, 16), function="Hardswish")
NOISE = 6000 / 1.5e9


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What runs of the step share."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def curves(pi: Qemu, kept: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[LayerShape, WidthCurve]:
    """Of a convolution and a depthwise one."""
    return counted(pi, kept, tmp_path_factory.mktemp("times"), PLAIN, DEPTHWISE)


def counted(
    pi: Qemu, kept: Path, folder: Path, *shapes: LayerShape, multiple: int | None = 8
) -> dict[LayerShape, WidthCurve]:
    """The curves of layers."""
    (folder / "shapes").mkdir()
    documents.write(folder / "shapes" / FILE, LayerShapes(shapes))
    step = LayerTimes("tflite", pi, MODEL, 1.5e9, 1, multiple)
    for place in ("out", "scratch"):
        (folder / place).mkdir()
    step.run(
        StepIO({"shapes": Input("evidence", "", folder / "shapes")}, folder / "out", folder / "scratch", kept=kept)
    )
    return {one.shape: one for one in documents.read(WidthCurves, folder / "out" / FILE).curves}


def test_of_a_model_with_one_other_layer_that_one_is_counted(
    pi: Qemu, curves: dict[LayerShape, WidthCurve], kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: list[str] = []
    original = Qemu.count_each

    def noted(device: Qemu, folder: Path, *given: Any, **named: Any) -> Iterable[Any]:
        files.extend(sorted(each.name for each in folder.glob("layer-*")))
        return original(device, folder, *given, **named)

    monkeypatch.setattr(Qemu, "count_each", noted)
    product = LayerShape("product", 8, 8, (1,))
    after = counted(pi, kept, tmp_path, PLAIN, product)
    assert after[PLAIN] == curves[PLAIN]
    assert len(files) == 2  # the layer, and the file without it
    assert [one.channels for one in after[product].outputs] == [8]


def test_half_the_channels_take_about_half_the_time(curves: dict[LayerShape, WidthCurve]) -> None:
    plain = curves[PLAIN]
    assert [one.channels for one in plain.outputs] == [one.channels for one in plain.inputs] == [8, 16]
    assert plain.outputs[1] == plain.inputs[1]
    for side in (plain.outputs, plain.inputs):
        assert 0.35 < side[0].seconds / side[1].seconds < 0.75
    assert 5e-6 < plain.outputs[1].seconds < 200e-6  # 147 thousand multiply-accumulates at 1.5 GHz


def test_of_a_layer_with_groups_whole_groups_go(curves: dict[LayerShape, WidthCurve]) -> None:
    depthwise = curves[DEPTHWISE]
    assert [one.channels for one in depthwise.outputs] == [8, 16]
    assert depthwise.inputs == ()
    assert 0 < depthwise.outputs[1].seconds < curves[PLAIN].outputs[1].seconds / 2


def test_an_activation_takes_what_it_does_beyond_a_rectifier_and_a_gate_what_it_does(
    pi: Qemu, kept: Path, tmp_path: Path
) -> None:
    shapes = (SWISH, replace(SWISH, function="ReLU"), GATE)
    taken, nothing, gate = (
        one.outputs[-1].seconds for one in counted(pi, kept, tmp_path, *shapes, multiple=None).values()
    )
    assert 3 * nothing < taken < 60e-6  # 16 thousand numbers at 1.5 GHz
    assert nothing < NOISE < gate < 60e-6


def test_without_a_multiple_layers_are_counted_as_wide_as_they_are(
    pi: Qemu, curves: dict[LayerShape, WidthCurve], kept: Path, tmp_path: Path
) -> None:
    (whole,) = counted(pi, kept, tmp_path, PLAIN, multiple=None).values()
    assert whole == WidthCurve(PLAIN, curves[PLAIN].outputs[-1:], ())
