"""A file of the user's is taken as it is meant or refused with the reason: nothing is guessed, no code is run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper, version_converter

from edgebuild.plan.planner import Plan
from edgebuild.sources.onnx import Onnx
from edgebuild.spec.errors import UsageError
from edgebuild.spec.quantization import Quantization
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.steps.evidence.original_outputs import OriginalOutputs
from edgebuild.steps.evidence.torch_outputs import TorchOutputs
from edgebuild.steps.import_file import ImportFile
from edgebuild.steps.techniques.int8 import Int8
from tests import tiny
from tests.sources import nets

INPUTS = (TensorSpec("x", (4,)),)
ONNX = Onnx("model.onnx")
Planner = Callable[..., Plan]


def imported(path: Path, inputs: tuple[TensorSpec, ...] = INPUTS, width: int = 3) -> Path:
    signature = Signature(inputs, (TensorSpec("y", (width,)),))
    step = ImportFile(ONNX, path.name, signature, "models/m/model.onnx")
    return tiny.perform(step, path.parent / "out", {"file": ("file", path.parent)})


def refusal(path: Path, inputs: tuple[TensorSpec, ...] = INPUTS, width: int = 3) -> str:
    with pytest.raises(UsageError) as caught:
        imported(path, inputs, width)
    assert not list((path.parent / "out").iterdir())
    assert str(path.parent) not in caught.value.line
    return caught.value.line


def answers(model: Path | bytes, values: Any) -> Any:
    given = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"]).run(None, {"x": values})[0]


@pytest.mark.parametrize(("opset", "batch"), [(9, "N"), (13, "N"), (21, "N"), (13, -1)])
def test_an_open_batch_is_fixed_and_the_answers_stay(tmp_path: Path, opset: int, batch: str | int) -> None:
    path, values = nets.written(nets.linear(opset=opset, shape=(batch, 4)), tmp_path), np.ones((1, 4), "float32")
    made = imported(path) / "model.onnx"
    model = onnx.load(made)
    for value, shape in ((model.graph.input[0], [1, 4]), (model.graph.output[0], [1, 3])):
        assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == shape
    assert model.opset_import[0].version == max(13, opset)
    assert np.array_equal(answers(made, values), answers(path, values))
    assert json.loads((made.parent / "imported.json").read_text()) == {"integer": None}


@pytest.mark.parametrize(("weights", "layer"), [("fc.weight", "fc"), ("onnx::MatMul_7", "fc.MatMul")])
def test_a_layer_is_called_by_its_weights_or_as_the_exporter_called_it(
    tmp_path: Path, weights: str, layer: str
) -> None:
    model = (imported(nets.written(nets.linear(called=weights), tmp_path)) / "model.onnx").read_bytes()
    assert [one.name for one in FORMATS.get("onnx")().layers(model)] == [layer]


def test_weights_beside_the_file_come_inside(tmp_path: Path) -> None:
    path, values = nets.with_weights_at("parts/w.bin", tmp_path), np.ones((1, 4), "float32")
    made = imported(path, width=24) / "model.onnx"
    expected = answers(path, values)
    (tmp_path / "parts" / "w.bin").unlink()
    assert np.array_equal(answers(made.read_bytes(), values), expected)


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("../w.bin", "names weights outside its folder: '../w.bin' (save it with its weights beside)"),
        ("/etc/passwd", "names weights outside its folder: '/etc/passwd'"),
    ],
)
def test_weights_elsewhere_are_not_read(tmp_path: Path, location: str, told: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(10_000))
    assert told in refusal(nets.with_weights_at(location, tmp_path / "m"), width=24)


def test_weights_that_the_build_does_not_read_are_named_with_what_to_write(tmp_path: Path) -> None:
    path = nets.with_weights_at("w.bin", tmp_path)
    (tmp_path / "w.bin").unlink()
    assert (
        "weights in 'w.bin', which the build does not read (put it beside the file, and name it: external = [\"w.bin\"]"
        in refusal(path)
    )


def cyclic() -> onnx.ModelProto:
    model = nets.linear()
    model.graph.node.extend(
        [helper.make_node("Add", ["y", "b"], ["a"], name="one"), helper.make_node("Relu", ["a"], ["b"], name="two")]
    )
    return model


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (nets.linear(kind="Gemmm"), "is refused by ONNX Runtime: "),
        (nets.linear(kind="Own", domain="me.org"), "has operators that ONNX Runtime does not know: Own of me.org"),
        (nets.linear(opset=99), "is refused by ONNX Runtime: "),
        (cyclic(), "is refused by ONNX Runtime: "),
        (nets.linear(shape=("N", 5)), "takes 'x' [N, 5] float32, which cannot be [1, 4] float32"),
        (nets.linear(shape=(8, 4)), "takes 'x' [8, 4] float32, which cannot be [1, 4] float32"),
        (nets.linear(shape=("N", 4, 1)), "takes 'x' [N, 4, 1] float32, which cannot be [1, 4] float32"),
        (nets.linear(dtype=TensorProto.FLOAT16), "takes 'x' [N, 4] float16, which cannot be [1, 4] float32"),
        (onnx.ModelProto(), "is no ONNX model: it has no operators"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, model: onnx.ModelProto, told: str) -> None:
    assert f"models/m/model.onnx: {told}" in refusal(nets.written(model, tmp_path))


def test_a_file_older_than_the_runtimes_operators_is_told_how_to_raise_it(tmp_path: Path) -> None:
    """What is told is done here: the batch norm of opset 6, of which ONNX Runtime has no kernel."""
    model, statistics = nets.linear(opset=6), np.ones(3, np.float32)
    model.graph.node[0].output[0] = "h"
    model.graph.node.append(helper.make_node("BatchNormalization", ["h", *"abcd"], ["y"], is_test=1))
    model.graph.initializer.extend(numpy_helper.from_array(statistics, name) for name in "abcd")
    ends = (helper.make_tensor_value_info(each.name, TensorProto.FLOAT, each.dims) for each in model.graph.initializer)
    model.graph.input.extend(ends)  # as files of that time have them
    path = nets.written(model, tmp_path)
    with pytest.raises(UsageError, match="has opset 6, and ONNX Runtime has operators of 7 and on: ") as caught:
        Onnx.look(path)
    assert "onnx.version_converter.convert_version(onnx.load(FILE), 17)" in str(caught.value.hint)
    onnx.save(version_converter.convert_version(onnx.load(path), 17), path)
    assert Onnx.look(path).what == "ONNX model, opset 17"


@pytest.mark.parametrize("content", [b"", b"\x08\x08garbage", nets.linear().SerializeToString()[:-20]])
def test_what_is_no_whole_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    assert "models/m/model.onnx: is no ONNX model: " in refusal(tmp_path / "model.onnx")


def test_several_inputs_are_told_apart_by_their_names(tmp_path: Path) -> None:
    model = nets.linear()
    model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, (1, 2)))
    path, z = nets.written(model, tmp_path), TensorSpec("z", (2,))
    told = "takes 'x' [N, 4] float32, 'z' [1, 2] float32: [[inputs]] must name these, in this order"
    for wrong in ((z, *INPUTS), INPUTS, (INPUTS[0], TensorSpec("w", (2,)))):
        assert told in refusal(path, wrong)
    imported(path, (*INPUTS, z))


def test_a_single_input_may_be_called_otherwise(tmp_path: Path) -> None:
    imported(nets.written(nets.linear(name="input.1"), tmp_path))


def test_answers_of_another_width_are_refused(tmp_path: Path) -> None:
    told = "answers [1, 3] to one example, and declared are [1, 2]"
    assert told in refusal(nets.written(nets.linear(), tmp_path), width=2)


def test_an_integer_file_is_taken_but_not_quantized_again(made: tiny.Made, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(made.file("onnx-int8").read_bytes())
    folder = imported(tmp_path / "model.onnx", tiny.spec("tiny").declared.inputs, 4)
    inputs = {"model": ("onnx", folder), "data": ("data", made["data"])}
    with pytest.raises(UsageError, match=r"the file computes in integers already \(DequantizeLinear\)"):
        tiny.perform(Int8(), tmp_path / "again", inputs)


def test_the_quantizer_takes_an_imported_file(tmp_path: Path) -> None:
    model = (imported(nets.written(nets.linear(opset=9), tmp_path)) / "model.onnx").read_bytes()
    samples = [(np.linspace(-1, 1, 4, dtype="float32")[None] * k,) for k in range(1, 9)]
    quantized = FORMATS.get("onnx")().quantize(model, Quantization("static"), samples)
    assert answers(quantized, samples[3][0]) == pytest.approx(answers(model, samples[3][0]), abs=0.1)


def test_the_quantizer_takes_a_bias_that_is_a_row(tmp_path: Path) -> None:
    """What the runtime makes of MatMul and Add where another exporter wrote the bias as [1, N]."""
    model = nets.linear()
    model.graph.node[0].output[0] = "product"
    model.graph.node.append(helper.make_node("Add", ["product", "bias"], ["y"]))
    model.graph.initializer.append(numpy_helper.from_array(np.float32([[1, -2, 3]]), "bias"))
    float_file = (imported(nets.written(model, tmp_path)) / "model.onnx").read_bytes()
    samples = [(np.linspace(-1, 1, 4, dtype="float32")[None] * k,) for k in range(1, 9)]
    quantized = FORMATS.get("onnx")().quantize(float_file, Quantization("static"), samples)
    assert answers(quantized, samples[3][0]) == pytest.approx(answers(float_file, samples[3][0]), abs=0.1)


DECLARED = (tiny.MODELS / "tiny" / "model.toml").read_text().replace('builder = "build"\n', "")
FILES = {"model.toml": DECLARED + '\n[source]\nuse = "onnx"\nfile = "net.onnx"\n', "net.onnx": "not looked at"}


def test_a_plan_starts_at_the_kind_of_its_source_and_is_held_against_the_original(plan: Planner) -> None:
    made = plan(files=FILES, recipe='[{use = "int8"}]')
    (product,) = made.products
    (chain,) = product.chains
    graph = made.graph
    assert graph.kind(chain.baseline) == "onnx"
    assert chain.baseline == chain.converted == chain.unconverted != chain.candidate
    kinds = {type(node.step) for node in graph.nodes.values()}
    assert (OriginalOutputs in kinds, TorchOutputs in kinds) == (True, False)
    assert made.notices == ("board: tiny comes as onnx, and nothing makes tflite of that: left out",)


@pytest.mark.parametrize("step", ["prune_channels", "distill", "qat", "codebook"])
def test_a_step_that_needs_pytorch_is_refused_with_what_would_help(plan: Planner, step: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(files=FILES, recipe=f'[{{use = "{step}"}}]')
    line = caught.value.line
    assert f"recipe[0].use: '{step}' works on torch, and tiny comes as onnx, which cannot be trained" in line
    assert 'use = "lifted"' in line


def test_a_target_that_runs_another_format_alone_is_refused(plan: Planner) -> None:
    with pytest.raises(UsageError, match="tiny comes as onnx, and nothing makes tflite of that .*lifted"):
        plan(files=FILES, recipe="[]", runtimes='[{format = "tflite"}]')


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('[teacher]\nbuilder = "build"\n', "model.toml: teacher: a teacher needs somebody who learns"),
        ('file = "gone.onnx"\n', "model.toml: source.file: no such file: 'gone.onnx'"),
        ('file = "../x.onnx"\n', "source.file: '../x.onnx' must name something inside the model's folder"),
    ],
)
def test_what_a_file_cannot_do_is_refused_by_its_key(plan: Planner, more: str, told: str) -> None:
    text = FILES["model.toml"]
    text = text.replace('file = "net.onnx"\n', more) if more.startswith("file") else text + more
    with pytest.raises(UsageError) as caught:
        plan(files=FILES | {"model.toml": text}, recipe="[]")
    assert told in caught.value.line


def test_what_has_another_axis_in_front_is_one_example_as_a_whole(tmp_path: Path) -> None:
    """As states of an LSTM [layers, batch, width], and what is answered [time, batch, classes]."""
    nodes = [
        helper.make_node("Add", ["h", "h"], ["h_out"]),
        helper.make_node("ReduceSum", ["h", "axis"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info(name, 1, shape) for name, shape in (("x", [1, 4]), ("h", [2, 1, 4]))]
    outputs = [helper.make_tensor_value_info(name, 1, None) for name in ("y", "h_out")]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(np.array([0]), "axis")])
    path = nets.written(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path)
    specs = TensorSpec("x", (4,)), TensorSpec("h", (2, 1, 4))
    given = np.arange(4, dtype="float32")[None], np.arange(8, dtype="float32").reshape(1, 2, 1, 4)
    (answered,) = FORMATS.get("onnx")().run(ONNX.adopt(path, specs), [given])
    (came,) = ONNX.answers(path, [given])
    for ours, theirs, shape in zip(answered, came, ([1, 4], [1, 2, 1, 4]), strict=True):
        assert [*ours.shape] == shape
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(answered[1], 2 * given[1])
