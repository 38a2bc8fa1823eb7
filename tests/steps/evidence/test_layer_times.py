"""Time against width on the emulated core: it falls with the channels, by as much as kernels take at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgebuild.devices.qemu import Qemu
from edgebuild.spec import documents
from edgebuild.spec.core import TimeModel
from edgebuild.spec.evidence import FILE, LayerShape, LayerShapes, WidthCurve, WidthCurves
from edgebuild.steps.evidence.layer_times import LayerTimes
from tests import tiny

MODEL = TimeModel("cortex-a72", 2.75e9, {"l1d": 5.0, "l1i": 5.0}, ((1, 0.3),), 0.25, ("a test",))
PLAIN = LayerShape("convolution", 16, 16, (8, 8), 1, (3, 3), (1, 1), (1, 1), (1, 1))
DEPTHWISE = replace(PLAIN, groups=16)


@pytest.fixture(scope="module")
def curves(pi: Qemu, tmp_path_factory: pytest.TempPathFactory) -> dict[LayerShape, WidthCurve]:
    """Of a convolution and a depthwise one."""
    folder = tmp_path_factory.mktemp("times")
    (folder / "shapes").mkdir()
    documents.write(folder / "shapes" / FILE, LayerShapes((PLAIN, DEPTHWISE)))
    step = LayerTimes("tflite", pi, MODEL, 1.5e9, 1, 8)
    done = tiny.perform(step, folder / "out", {"shapes": ("evidence", folder / "shapes")})
    return {one.shape: one for one in documents.read(WidthCurves, done / FILE).curves}


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
