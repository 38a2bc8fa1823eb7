"""ONNX files: valid, and without what no runtime reads."""

from __future__ import annotations

from pathlib import Path

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
