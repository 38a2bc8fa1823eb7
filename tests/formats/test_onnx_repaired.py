"""What is harmless in files of others and stops runtimes is put right, and what is decided is said, by every verb."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgebuild import cli
from edgebuild.formats import _onnx_adopt, _onnx_repaired
from edgebuild.spec.project import open_project
from edgebuild.spec.signature import TensorSpec
from edgebuild.travels import load_onnx
from edgebuild.verbs import bench
from tests import ROOT

LINES = (
    "output 'name' is left out: it answers words",
    "operators that were all called 'n' have names of their own now",
    "input 'scale' has a value in the file, and counts as a constant (what is to be fed must have none)",
)


def strange(ir_version: int = 9) -> onnx.ModelProto:
    """Scores and a name of x [1, 16], by operators of one name; `scale` has a value and may be fed."""
    weights = [numpy_helper.from_array(np.full((16, 4), 0.5, np.float32), "w")]
    weights += [numpy_helper.from_array(np.array([2.0], np.float32), "scale")]
    words = {"keys_int64s": [0, 1, 2, 3], "values_strings": ["a", "b", "c", "d"]}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="n"),
        helper.make_node("Mul", ["h", "scale"], ["y"], name="n"),
        helper.make_node("ArgMax", ["y"], ["i"], axis=1, keepdims=0),
        helper.make_node("LabelEncoder", ["i"], ["name"], domain="ai.onnx.ml", **words),
    ]
    inputs = [helper.make_tensor_value_info(*port) for port in (("x", 1, ["N", 16]), ("scale", 1, [1]))]
    outputs = [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4]),
        helper.make_tensor_value_info("name", TensorProto.STRING, ["N"]),
    ]
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=versions, ir_version=ir_version)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The same on disk."""
    onnx.save(strange(), tmp_path / "strange.onnx")
    return tmp_path / "strange.onnx"


def test_a_file_is_looked_at_and_adopted_and_answers_as_before(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Operators of one name were refused in ONNX Runtime's words, and a value that may be fed was frozen in silence."""
    assert cli.main(["inspect", str(file), "--json"]) == 0
    assert tuple(json.loads(capsys.readouterr().out)["look"]["notes"]) == LINES
    content = _onnx_adopt.adopt(file, [TensorSpec("x", (16,), "float32")])
    ones = np.ones((1, 16), np.float32)
    for model in (content, _onnx_repaired.content(file)):
        (answer,) = load_onnx.Model(model, {}).answer([ones])
        assert answer.tolist() == [[16.0] * 4]


def test_it_is_measured_without_what_is_left_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`bench` refused what `init` and `build` take."""
    brief = replace(bench._LOOK, looks=(1,), iterations=2, warmup_iterations=1, warmup=0.01)
    monkeypatch.setattr(bench, "_LOOK", brief)
    measured = bench.run(file, open_project(ROOT).target("host"), device="local")
    assert (measured.notices, [each.name for each in measured.fed]) == (LINES, ["x"])


def test_weights_that_must_be_listed_as_inputs_are_no_news() -> None:
    assert _onnx_repaired.fixed(strange(ir_version=3)) == ()
    many = strange()
    many.graph.input.extend(helper.make_tensor_value_info(f"w{number}", 1, [1]) for number in range(5))
    many.graph.initializer.extend(numpy_helper.from_array(np.ones(1), f"w{number}") for number in range(5))
    (line,) = _onnx_repaired.fixed(many)
    assert line.startswith("inputs 'scale', 'w0', 'w1', 'w2', 'w3' and 1 more have values in the file")


def test_names_within_branches_are_repaired_too() -> None:
    inner = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["a"], name="n"), helper.make_node("Neg", ["a"], ["b"], name="n")],
        "arm",
        [],
        [helper.make_tensor_value_info("b", 1, None)],
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    values = [helper.make_tensor_value_info("x", 1, [1, 4]), helper.make_tensor_value_info("c", TensorProto.BOOL, [])]
    answer = helper.make_tensor_value_info("y", 1, [1, 4])
    model = helper.make_model(helper.make_graph([node], "g", values, [answer]), ir_version=9)
    model.opset_import[0].version = 17
    assert _onnx_repaired.repaired(model) == (LINES[1],)
    load_onnx.Model(model.SerializeToString(), {})
