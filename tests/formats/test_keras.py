"""Keras files of others: opened without running anything in them, and written as ONNX files that answer alike."""

from __future__ import annotations

import json
import os
import tomllib
import zipfile
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


def of_keras_2(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A file of Keras 3 (in place) as if Keras 2 had written what `change` makes of the config of each layer."""

    def changed(text: str | bytes) -> str:
        described = json.loads(text)
        for layer in described["config"]["layers"]:
            change(layer)
        return json.dumps(described)

    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["keras_version"] = "2.15.0"
            file.attrs["model_config"] = changed(file.attrs["model_config"])
        return path
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["metadata.json"] = b'{"keras_version": "2.15.0"}'
    content["config.json"] = changed(content["config.json"]).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def answered(path: Path, *shape: int) -> tuple[Any, Any]:
    """Noise [4, shape…], and what the file answers to it."""
    values = np.random.default_rng(0).normal(0, 2, (4, *shape)).astype(np.float32)
    return values, np.concatenate([each for (each,) in _keras_file.answers(path, [(row[None],) for row in values])])


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_the_hard_sigmoid_of_keras_2_is_another_function(tmp_path: Path, ending: str) -> None:
    model = keras().Sequential([keras().Input((6,)), keras().layers.Activation("hard_sigmoid")])
    model.save(file := tmp_path / f"m{ending}")
    values, answers = answered(file, 6)
    assert np.allclose(answers, np.clip(values / 6 + 0.5, 0, 1), atol=1e-6)
    values, answers = answered(of_keras_2(file, lambda layer: None), 6)
    assert np.allclose(answers, np.clip(values / 5 + 0.5, 0, 1), atol=1e-6)


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_layers_of_keras_2_have_arguments_that_keras_3_has_no_more(tmp_path: Path, ending: str) -> None:
    layers = keras().layers
    stack = [
        keras().Input((3, 8, 8, 2)),
        layers.ConvLSTM2D(4, 3, padding="same"),
        layers.SeparableConv2D(4, 3),
        layers.DepthwiseConv2D(3),
        layers.Conv2DTranspose(4, 3),
        layers.BatchNormalization(),
        layers.SpatialDropout2D(0.1),
        layers.Flatten(),
        layers.RepeatVector(3),
        layers.LSTM(4),
        layers.ReLU(threshold=0.1),
    ]
    keras().Sequential(stack).save(file := tmp_path / f"m{ending}")
    _, expected = answered(file, 3, 8, 8, 2)

    def old(layer: dict[str, Any]) -> None:
        kind, config = layer["class_name"], layer["config"]
        more = {
            "LSTM": {"time_major": False},
            "ConvLSTM2D": {"time_major": False},
            "SeparableConv2D": {"groups": 1, "kernel_initializer": None, "kernel_constraint": None},
            "DepthwiseConv2D": {"groups": 1},
            "Conv2DTranspose": {"groups": 1},
            "BatchNormalization": {"axis": [3]},
            "SpatialDropout2D": {"trainable": True, "noise_shape": None},
        }
        config |= more.get(kind, {})
        if kind == "ReLU":
            layer["class_name"], layer["config"] = "ThresholdedReLU", {"name": "cut", "theta": config["threshold"]}

    assert np.array_equal(answered(of_keras_2(file, old), 3, 8, 8, 2)[1], expected)


def test_a_model_of_keras_2_that_is_a_graph_is_taken_from_wherever_its_class_was(tmp_path: Path) -> None:
    taken = keras().Input((4,))
    keras().Model(taken, keras().layers.Dense(2)(taken)).save(file := tmp_path / "m.keras")
    _, expected = answered(file, 4)
    of_keras_2(file, lambda layer: None)
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for module in ("keras.src.engine.functional", "tf_keras.src.engine.functional", "keras.engine.functional"):
        described = json.loads(content["config.json"]) | {"module": module}
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in (content | {"config.json": json.dumps(described).encode()}).items():
                archive.writestr(name, data)
        assert np.array_equal(answered(file, 4)[1], expected)


def test_a_model_within_a_model_and_half_precision_of_keras_2(tmp_path: Path) -> None:
    layers = keras().layers
    inner = keras().Sequential([keras().Input((4,)), layers.Dense(3)], name="inner")
    taken = keras().Input((4,), name="x")
    keras().Model(taken, layers.Dense(2)(inner(taken))).save(file := tmp_path / "m.h5")
    _, expected = answered(file, 4)

    def old(layer: dict[str, Any]) -> None:
        before = {"inner": ["x", 0, 0, {}], "dense": ["inner", 1, 0, {}]}
        layer["inbound_nodes"] = [[before[kind]]] if (kind := layer["name"].partition("_")[0]) in before else []
        layer["config"]["dtype"] = {"class_name": "Policy", "config": {"name": "float32"}}

    assert np.array_equal(answered(of_keras_2(file, old), 4)[1], expected)


def test_an_h5_keeps_several_axes(tmp_path: Path) -> None:
    model = keras().Sequential([keras().Input((3, 4)), keras().layers.Softmax(axis=[1, 2])])
    model.save(file := tmp_path / "m.h5")
    assert np.allclose(answered(file, 3, 4)[1].sum((1, 2)), 1)


def test_layers_that_keras_computes_otherwise_on_pytorch(tmp_path: Path) -> None:
    layers = keras().layers
    keras().Sequential([keras().Input((5, 4, 1)), layers.AveragePooling2D(3, 2, "same")]).save(tmp_path / "m.keras")
    values, answers = answered(tmp_path / "m.keras", 5, 4, 1)
    rows, columns = ((0, 2), (1, 4), (3, 5)), ((0, 3), (2, 4))  # of 5 one is added on both sides, of 4 one behind
    means = [[values[:, top:low, left:right].mean((1, 2)) for left, right in columns] for top, low in rows]
    assert np.allclose(answers, np.transpose(means, (2, 0, 1, 3)), atol=1e-6)
    assert apart(tmp_path / "m.keras", [TensorSpec("keras_tensor", (5, 4, 1))])[1] < 1e-6
    bicubic = layers.UpSampling2D(2, interpolation="bicubic")
    keras().Sequential([keras().Input((5, 4, 1)), bicubic]).save(tmp_path / "up.keras")
    with pytest.raises(UsageError, match=r"resizes in the layer 'up_sampling2d\w*' by other cubics"):
        _keras_file.opened(tmp_path / "up.keras")


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
