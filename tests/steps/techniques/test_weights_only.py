"""weights_only on a trained model: a quarter or an eighth of the bytes, float arithmetic, the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgebuild.steps.techniques.weights_only import WeightsOnly
from tests import runtimes, tiny


def perform(made: tiny.Made, name: str, step: WeightsOnly) -> str:
    """Make the artifact `name` of a model where `Made` finds it."""
    format_name = tiny.kind(name)
    if not (made.root / name).is_dir():
        tiny.perform(step, made.root / name, {"model": (format_name, made[format_name])})
    return name


@pytest.mark.parametrize(
    ("name", "step", "share", "lost"),
    [
        ("onnx-weights8", WeightsOnly(), 0.26, 0.01),
        ("onnx-weights4", WeightsOnly(weights="int4"), 0.15, 0.03),
        ("onnx-weights16", WeightsOnly(weights="float16"), 0.51, 0.0),
        ("onnx-weights8-tensor", WeightsOnly(granularity="tensor"), 0.26, 0.01),
        ("tflite-weights8", WeightsOnly(), 0.28, 0.01),
        ("tflite-weights16", WeightsOnly(weights="float16"), 0.51, 0.0),
    ],
)
def test_the_file_is_small_and_as_accurate(
    made: tiny.Made, name: str, step: WeightsOnly, share: float, lost: float
) -> None:
    perform(made, name, step)
    given, wanted = runtimes.file_answers(made, name), runtimes.torch_answers(made)
    assert np.abs(given - wanted).max() > 0
    assert made.file(name).stat().st_size < share * made.file(tiny.kind(name)).stat().st_size
    assert runtimes.accuracy(made, given) >= runtimes.accuracy(made, wanted) - lost


def test_stored_weights_are_round_of_x_by_the_channels_largest(made: tiny.Made, tmp_path: Path) -> None:
    output = tiny.perform(WeightsOnly(), tmp_path / "out", {"model": ("onnx", made["onnx"])})
    known = {t.name: numpy_helper.to_array(t) for t in onnx.load(output / "model.onnx").graph.initializer}
    floats = {t.name: numpy_helper.to_array(t) for t in onnx.load(made.file("onnx")).graph.initializer}
    wanted = floats["spread.weight"]
    steps = np.abs(wanted).reshape(64, -1).max(1) / 127
    (stored,) = [q for q in known.values() if q.dtype == np.int8 and q.shape == wanted.shape
                 and np.array_equal(q, np.round(wanted / steps[:, None, None, None]))]  # fmt: skip
    assert np.abs(stored).reshape(64, -1).max(1).tolist() == [127] * 64
    assert any(s.shape == (64, 1, 1, 1) and np.allclose(s.ravel(), steps) for s in known.values())


def test_a_kept_layer_stays_float(made: tiny.Made, tmp_path: Path) -> None:
    step = WeightsOnly(keep=("spread",))
    output = tiny.perform(step, tmp_path / "out", {"model": ("onnx", made["onnx"])})
    tensors = onnx.load(output / "model.onnx").graph.initializer
    assert [list(t.dims) for t in tensors if t.data_type == t.FLOAT and len(t.dims) == 4 and t.dims[1] > 1] == [
        [64, 64, 3, 3]
    ]
