"""ONNX files: valid, and without what no runtime reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgebuild.formats import _onnx_files
from tests import tiny

FILES = ("onnx", "onnx-int8", "onnx-float16")


@pytest.mark.parametrize("artifact", FILES)
def test_it_is_valid_and_of_the_declared_shapes(made: tiny.Made, artifact: str) -> None:
    model = onnx.load(made.file(artifact))
    onnx.checker.check_model(model, full_check=True)
    (given,), (answer,) = model.graph.input, model.graph.output
    for value, shape in ((given, [1, 1, 12, 12]), (answer, [1, 4])):
        assert [size.dim_value for size in value.type.tensor_type.shape.dim] == shape
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize("artifact", FILES)
def test_it_has_no_doc_strings_metadata_shapes_or_unused_domains(made: tiny.Made, artifact: str) -> None:
    model = onnx.load(made.file(artifact))
    graph = model.graph
    parts = [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]
    assert not any(part.doc_string or part.metadata_props for part in parts)
    assert not graph.value_info
    assert {item.domain for item in model.opset_import} == {node.domain for node in graph.node} == {""}


@pytest.mark.parametrize("artifact", FILES[1:])
def test_inner_names_are_short_and_each_stands_for_one_value(made: tiny.Made, artifact: str) -> None:
    graph = onnx.load(made.file(artifact)).graph
    edges = {value.name for value in [*graph.input, *graph.output]}
    made_here = [tensor.name for tensor in graph.initializer] + [name for node in graph.node for name in node.output]
    assert len(made_here) == len({*made_here})
    assert max(len(name) for name in {*made_here} - edges) <= 3
    assert not any(node.name for node in graph.node)


def test_weights_are_inside_the_file(made: tiny.Made) -> None:
    assert [path.name for path in made["onnx"].iterdir()] == ["model.onnx"]
    model = onnx.load(made.file("onnx"), load_external_data=False)
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_a_scratch_copy_is_not_left_behind(made: tiny.Made) -> None:
    assert {path.name for path in Path(made.root / "onnx-int8").iterdir()} == {"model.onnx", "calibration.json"}


def test_inputs_may_be_called_by_the_numbers_that_inner_values_get() -> None:
    """As "10" and "2", whose values had another type than the inner ones of the same names."""
    from onnx import TensorProto, helper, numpy_helper

    names = [f"{k:x}" for k in range(1, 24)]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in names]
    weight = numpy_helper.from_array(np.ones(1, np.int64), "axis")
    nodes = [
        helper.make_node("Concat", names, ["joined"], axis=0),
        helper.make_node("Cast", ["joined"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Add", ["whole", "axis"], ["out"]),
    ]
    outputs = [helper.make_tensor_value_info("out", TensorProto.INT64, [len(names)])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model = onnx.load_from_string(_onnx_files.strip(made))
    inner = [tensor.name for tensor in model.graph.initializer] + [o for n in model.graph.node[:-1] for o in n.output]
    assert not {*inner} & {*names}
    assert len({*inner}) == 3


def _file(nodes: list[onnx.NodeProto], constants: dict[str, Any], shape: list[int]) -> bytes:
    """A file with one input `x` and one output `out` of the same shape."""
    from onnx import TensorProto, helper, numpy_helper

    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name in ("x", "out")]
    graph = helper.make_graph(nodes, "g", *ends, tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return _onnx_files.to_bytes(made)


def test_a_value_may_have_the_name_that_the_quantizer_gives_to_its_copy_of_a_shared_bias() -> None:
    """As in Basic Pitch: the copy of "b" was "b0", an activation of that name was lost, and so was the file."""
    from onnx import helper

    from edgebuild.formats.onnx import Onnx
    from edgebuild.spec.quantization import Quantization

    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=(3, 3, 1, 1)).astype("float32") for name in ("w", "v")}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["b0"], name="first"),
        helper.make_node("Conv", ["b0", "v", "b"], ["y"], name="second"),
        helper.make_node("Neg", ["b0"], ["n"], name="third"),
        helper.make_node("Add", ["y", "n"], ["out"], name="last"),
    ]
    model = _file(nodes, weights | {"b": np.float32([0.5, -1, 2])}, [1, 3, 4, 4])
    samples = [(rng.normal(size=(1, 3, 4, 4)).astype("float32"),) for _ in range(8)]
    done = Onnx().quantize(model, Quantization("static"), samples)
    for (answer,), (right,) in zip(Onnx().run(done, samples), Onnx().run(model, samples), strict=True):
        assert np.abs(answer - right).max() < 0.05 * np.abs(right).max()


def test_the_arms_of_a_branch_still_read_the_values_outside_that_they_name() -> None:
    from onnx import TensorProto, helper

    from edgebuild.formats.onnx import Onnx

    out = [helper.make_tensor_value_info("arm", TensorProto.FLOAT, [1, 4])]
    arms = [
        helper.make_graph([helper.make_node(kind, ["doubled", "one"], ["arm"])], kind, [], out)
        for kind in ("Add", "Sub")
    ]
    nodes = [
        helper.make_node("Add", ["x", "x"], ["doubled"]),
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["above"]),
        helper.make_node("If", ["above"], ["out"], then_branch=arms[0], else_branch=arms[1]),
    ]
    constants = {"one": np.ones(4, np.float32), "zero": np.float32(0)}
    model = _file(nodes, constants, [1, 4])
    samples = [(np.full((1, 4), value, np.float32),) for value in (1, -1)]
    done = _onnx_files.strip(onnx.load_from_string(model))
    assert [answer.tolist() for (answer,) in Onnx().run(done, samples)] == [[[3.0] * 4], [[-3.0] * 4]]


def test_half_precision_leaves_outputs_that_operators_read_as_well() -> None:
    """Features and what is made of them, both answered: the cast behind the first reached those who read it."""
    from onnx import TensorProto, helper

    from edgebuild.formats.onnx import Onnx
    from edgebuild.spec.quantization import Quantization

    nodes = [helper.make_node("Relu", ["x"], ["features"]), helper.make_node("MatMul", ["features", "w"], ["out"])]
    model = onnx.load_from_string(_file(nodes, {"w": np.eye(4, dtype=np.float32)}, [1, 4]))
    model.graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 4]))
    done = Onnx().quantize(model.SerializeToString(), Quantization("float16"))
    (answers,) = Onnx().run(done, [(np.array([[-1, 0, 0.5, 2]], np.float32),)])
    assert [answer.tolist() for answer in answers] == [[[0, 0, 0.5, 2]]] * 2
