"""Keras files of others: opened without running anything in them, and written as ONNX files that answer alike."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest

from edgebuild.formats import _keras_file, _keras_onnx
from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import open_project
from edgebuild.spec.signature import TensorSpec
from edgebuild.travels import load_onnx
from edgebuild.verbs import inspect
from edgebuild.verbs.drafting import draft
from edgebuild.verbs.drafting.interview import Interview, Wishes
from tests import brought, keras_nets
from tests.keras_nets import keras

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's exporter has many


def apart(path: Path, inputs: list[TensorSpec]) -> tuple[onnx.ModelProto, float]:
    """The ONNX file made of it, and the largest difference of what the two answer to some noise."""
    content = _keras_onnx.adopt(path, inputs)
    rng = np.random.default_rng(0)
    samples = [tuple(rng.random((1, *spec.shape), np.float32) for spec in inputs) for _ in range(40)]
    ours = load_onnx.Model(content, {})
    pairs = zip(_keras_file.answers(path, samples), map(ours.answer, samples), strict=True)
    apart = max(float(np.abs(a - b).max()) for one, other in pairs for a, b in zip(one, other, strict=True))
    return onnx.load_from_string(content), apart


def test_names_and_layout_stay_and_norms_are_folded(trained: Path) -> None:
    model, difference = apart(trained, [TensorSpec("image", (12, 12, 1))])
    assert difference < 1e-4
    (taken,), (given,) = model.graph.input, model.graph.output
    assert [dim.dim_value for dim in taken.type.tensor_type.shape.dim] == [1, 12, 12, 1]
    assert (taken.name, given.name) == ("image", "quarter")
    kinds = [node.op_type for node in model.graph.node]
    assert not {*kinds} & {"Sub", "Mul", "Add", "BatchNormalization"}
    layers = [node.name for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert layers == ["stem", "spread", "mix", "quarter"]


def test_it_knows_its_pictures_in_keras_and_is_looked_at(trained: Path) -> None:
    pixels, labels = brought.quarters(40, 3)
    samples = [(picture[None],) for picture in keras_nets.pictures(pixels)]
    assert [int(answer.argmax()) for (answer,) in _keras_file.answers(trained, samples)] == [*labels]
    seen = _keras_onnx.look(trained)
    assert [port.shown for port in (*seen.inputs, *seen.outputs)] == [
        "image [?, 12, 12, 1] float32",
        "quarter [?, 4] float32",
    ]
    assert (seen.operators["Conv2D"], seen.integer) == (2, None)


def test_outputs_that_end_in_a_sigmoid_are_seen(tmp_path: Path) -> None:
    layers = keras().layers
    x = layers.Input((3,), name="x")
    ends = [layers.Dense(1, "sigmoid", name="pet")(x), layers.Dense(2, name="place")(x)]
    keras().Model(x, ends).save(tmp_path / "m.keras")
    assert _keras_onnx.look(tmp_path / "m.keras").probabilities == ("pet",)


def test_what_takes_pictures_of_any_size_ends_in_a_layer_and_is_drafted(tmp_path: Path) -> None:
    """The exporter called two values as the last layer is, and the sizes that the answers have were asked of nobody."""
    picture = keras().Input((None, None, 1), name="picture")
    inner = keras().layers.Conv2D(2, 3, padding="same", activation="relu")(picture)
    file = tmp_path / "map.keras"
    keras().Model(picture, keras().layers.Conv2D(3, 3, padding="same", name="conv2d_1")(inner)).save(file)
    wishes = Wishes(shapes=("picture=1,6,8,1",))
    text = draft.text(Interview(open_project(tmp_path), file, "m", inspect.run(file), wishes, None))
    (output,) = tomllib.loads(text)["outputs"]
    assert output["shape"] == [6, 8, 3]
    model, difference = apart(file, [TensorSpec("picture", (6, 8, 1))])
    assert [value.name for value in model.graph.output] == ["conv2d_1"]
    assert difference < 1e-4


def test_inputs_and_outputs_by_name_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    layers = keras().layers
    picture, extra = keras().Input((8, 8, 3), name="one"), keras().Input((2,), name="two")
    joined = layers.Concatenate()([layers.Flatten()(picture), extra])
    answers = {"kind": layers.Dense(3)(joined), "area": layers.Dense(1)(joined)}
    keras().Model({"picture": picture, "extra": extra}, answers).save(tmp_path / "two.keras")
    model, difference = apart(tmp_path / "two.keras", [TensorSpec("extra", (2,)), TensorSpec("picture", (8, 8, 3))])
    assert [value.name for value in model.graph.output] == ["area", "kind"]
    assert difference < 1e-5
    with pytest.raises(UsageError, match=r"takes extra \[\?, 2\] .* \[\[inputs\]\] must name these, in this order"):
        _keras_onnx.adopt(tmp_path / "two.keras", [TensorSpec("picture", (8, 8, 3)), TensorSpec("extra", (2,))])


def test_a_depthwise_layer_of_keras_2_is_read(tmp_path: Path) -> None:
    """Its configuration names `groups`, which Keras 3 has no place for."""
    path = tmp_path / "old.h5"
    keras().Sequential([keras().Input((4, 4, 2)), keras().layers.DepthwiseConv2D(3)]).save(path)
    with h5py.File(path, "r+") as file:
        described = json.loads(file.attrs["model_config"])
        (layer,) = [one for one in described["config"]["layers"] if one["class_name"] == "DepthwiseConv2D"]
        layer["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(described)
    with pytest.raises(Exception, match="groups"):
        keras().models.load_model(path)
    assert [type(layer).__name__ for layer in _keras_file.opened(path).model.layers] == ["DepthwiseConv2D"]


def _lambda() -> Any:
    """One that would leave a trace: no closure, which Keras does not write."""
    return keras().layers.Lambda(
        lambda values: __import__("os").environ.setdefault("RAN", "1") and values, name="twice"
    )


def _custom() -> Any:
    class Odd(keras().layers.Layer):  # type: ignore[misc]
        def call(self, values: Any) -> Any:
            return values * 3

    return Odd()


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize(
    ("layer", "told"), [(_lambda, "has the Lambda layer 'twice', which is code"), (_custom, "Odd")], ids=["λ", "custom"]
)
def test_code_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, layer: Callable[[], Any], told: str
) -> None:
    path = tmp_path / f"model.{ending}"
    keras().Sequential([keras().Input((4,)), layer(), keras().layers.Dense(2)]).save(path)
    monkeypatch.delenv("RAN", raising=False)
    with pytest.raises(UsageError) as refused:
        _keras_file.opened(path)
    assert told in refused.value.reason
    assert len(refused.value.line) < 300
    assert "save it from layers of Keras alone" in str(refused.value.hint)
    assert "RAN" not in os.environ


def test_weights_alone_and_damaged_files_are_refused(tmp_path: Path) -> None:
    model = keras().Sequential([keras().Input((4,)), keras().layers.Dense(2)])
    model.save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(UsageError, match="has weights alone"):
        _keras_file.opened(tmp_path / "only.weights.h5")
    model.save(tmp_path / "whole.keras")
    content = (tmp_path / "whole.keras").read_bytes()
    for name, part in (("short.keras", content[:200]), ("text.h5", b"hello")):
        (tmp_path / name).write_bytes(part)
        with pytest.raises(UsageError, match="is no Keras model"):
            _keras_file.opened(tmp_path / name)


def test_a_file_that_keeps_the_reader_busy_forever_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects of no size in the heap where HDF5 keeps texts: libhdf5 steps over them on the spot."""
    monkeypatch.setattr(_keras_file, "_SECONDS", 1)
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = '{"class_name": "Sequential"}' + 2_000 * " "
    content = bytearray(path.read_bytes())
    begin = content.index(b"Sequential")
    content[begin : begin + 2_500] = bytes(len(content[begin : begin + 2_500]))
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is a damaged Keras model: 1 s of computing were not enough to read it"):
        _keras_file.opened(path)
