"""The names of inputs and outputs in files: those that the model declares, in its order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgebuild.formats import _tflite_names
from edgebuild.nn import checkpoint
from edgebuild.spec import dataset
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Signature, TensorSpec
from tests import tiny

INPUTS, OUTPUTS = ["picture", "words"], ["kind", "features", "place"]


def torch_answers(made: tiny.Made) -> list[np.ndarray]:
    import torch

    test = dataset.read(made["data"], "test").inputs
    with torch.no_grad():
        said = checkpoint.load(made["float"]).module(*(torch.from_numpy(np.array(x[:1])) for x in test))
    return [one.numpy() for one in said]


def signature_of(file: bytes) -> tuple[list[str], list[str], Any]:
    from ai_edge_litert.interpreter import Interpreter

    (names,) = (opened := Interpreter(model_content=file)).get_signature_list().values()
    return names["inputs"], names["outputs"], opened.get_signature_runner()


@pytest.mark.parametrize("name", ["onnx", "onnx-int8"])
def test_an_onnx_file_has_the_declared_names(scene: tiny.Made, name: str) -> None:
    import onnx

    graph = onnx.load_from_string(scene.file(name).read_bytes()).graph
    assert [value.name for value in graph.input] == INPUTS
    assert [value.name for value in graph.output] == OUTPUTS


@pytest.mark.parametrize("name", ["tflite", "tflite-int8"])
def test_a_tflite_file_answers_by_the_declared_names(scene: tiny.Made, name: str) -> None:
    file = scene.file(name).read_bytes()
    inputs, outputs, call = signature_of(file)
    assert (sorted(inputs), sorted(outputs)) == (sorted(INPUTS), sorted(OUTPUTS))
    test = dataset.read(scene["data"], "test").inputs
    said = call(picture=test[0][:1].transpose(0, 2, 3, 1), words=test[1][:1].astype(np.int32))
    (given,) = FORMATS.get("tflite")().run(file, [tuple(x[:1] for x in test)])
    for output, value in zip(OUTPUTS, given, strict=True):
        assert np.allclose(np.sort(said[output].ravel()), np.sort(value.ravel()))


@pytest.mark.parametrize("name", ["onnx", "onnx-int8", "tflite", "tflite-int8"])
def test_every_output_of_a_file_is_the_models_at_its_place(scene: tiny.Made, name: str) -> None:
    file = scene.file(name).read_bytes()
    test = dataset.read(scene["data"], "test").inputs
    (given,) = FORMATS.get(tiny.kind(name))().run(file, [tuple(x[:1] for x in test)])
    for value, reference in zip(given, torch_answers(scene), strict=True):
        assert value.shape == reference.shape
        assert np.abs(value - reference).max() < (0.1 if "int8" in name else 1e-5) * max(1, np.abs(reference).max())


def as_exported(file: bytes) -> bytes:
    """The file with the names that a converter gives, and the outputs of its graph in another order."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(file))
    (entry,), graph = parsed.signatureDefs, parsed.subgraphs[0]
    for stem, entries, ends in (("args", entry.inputs, graph.inputs), ("output", entry.outputs, graph.outputs)):
        for one in entries:
            one.name = f"{stem}_{list(ends).index(one.tensorIndex)}".encode()
    graph.outputs = list(graph.outputs)[::-1]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


def test_names_with_numbers_of_another_order_would_tell_a_loader_the_wrong_one(scene: tiny.Made) -> None:
    file = as_exported(scene.file("tflite").read_bytes())
    sample = [tuple(x[:1] for x in dataset.read(scene["data"], "test").inputs)]
    declared = {
        "words": (["kind", "features", "place"], ["features", "kind", "place"]),
        "numbers in order": (["x0", "x1", "x2"], ["x0", "x1", "x2"]),
        "numbers in another order": (["x2", "x0", "x1"], ["output_0", "output_1", "output_2"]),
    }
    inputs = (TensorSpec("a", (1,)), TensorSpec("b", (1,)))
    for names, known in declared.values():
        named = _tflite_names.name_ends(file, Signature(inputs, tuple(TensorSpec(name, (1,)) for name in names)))
        assert sorted(signature_of(named)[1]) == sorted(known)
        layouts = FORMATS.get("tflite")().layouts_of(named)
        (given,) = FORMATS.get("tflite")().run(named, sample)
        assert layouts == FORMATS.get("tflite")().layouts_of(file)
        assert [value.shape for value in given] == [(1, 4), (1, 8, 3, 3), (1, 2)]


def test_inner_values_of_a_declared_name_get_another() -> None:
    import onnx
    from onnx import TensorProto, helper

    from edgebuild.formats import _onnx_files

    nodes = [helper.make_node("Relu", ["x"], ["kind"]), helper.make_node("Neg", ["kind"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]))
    _onnx_files.name_ends(model, Signature((TensorSpec("in", (1,)),), (TensorSpec("kind", (1,)),)))
    onnx.checker.check_model(model)
    assert [(list(node.input), list(node.output)) for node in model.graph.node] == [
        (["in"], ["kind_1"]), (["kind_1"], ["kind"]),
    ]  # fmt: skip
