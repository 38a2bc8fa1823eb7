"""What a check says of a model names the recipe that suits it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgebuild import cli
from edgebuild.report import check as report
from edgebuild.spec.files import read_model
from edgebuild.verbs.check import Checked
from tests import tiny


def checked(examples: int, **recipes: str) -> Checked:
    """Of a model with so many training examples; recipes with why they do not take it, or ""."""
    return Checked("net", "model.toml", "lifted", (), (), {"train": examples}, {}, (), "host", {}, recipes)


@pytest.mark.parametrize(
    ("examples", "recipe"), [(58, "careful"), (499, "careful"), (500, "balanced"), (60_000, "balanced")]
)
def test_a_network_is_pruned_where_there_is_enough_to_learn_from(examples: int, recipe: str) -> None:
    assert checked(examples, balanced="", careful="", float16="", int8="").recipe == recipe


def test_what_takes_the_model_is_named_and_nothing_where_nothing_does() -> None:
    assert checked(60_000, balanced="cannot be trained", careful="", float16="").recipe == "careful"
    assert checked(58, balanced="", careful="integers already", float16="").recipe == "balanced"
    assert checked(58, balanced="no", int8="no").recipe is None


def test_a_recipe_is_in_the_next_command_where_a_build_would_take_another() -> None:
    taken = {"balanced": "", "careful": "", "qat": ""}
    seen = replace(checked(58, **taken), declared="careful")
    assert report.following(seen) == "edgebuild --target host --model net"
    assert report.following(replace(seen, declared=None)).endswith(" --recipe careful")
    assert report.following(replace(seen, declared="qat")) == "edgebuild --target host --model net"
    assert report.following(replace(seen, of_target="balanced")).endswith(" --recipe careful")
    assert report.following(replace(seen, of_target=None)).endswith(" --recipe careful")
    assert report.following(checked(500, **taken)) == "edgebuild --target host --model net"


def test_a_file_with_integers_is_sent_to_what_takes_it(
    made: tiny.Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that init names ended in a refusal: its recipe began with int8."""
    assert cli.main(["init", str(made.file("onnx-int8")), "-C", str(tmp_path), "--name", "whole", "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)["checked"]
    assert seen["recipes"]["careful"].startswith("the file computes in integers already")
    assert seen["techniques"]["int8"] == seen["recipes"]["careful"]
    assert (seen["techniques"]["encode"], seen["recipes"]["lossless"]) == ("", "")
    assert Checked(**seen).recipe == "lossless"
    report.show(Checked(**seen))
    shown = capsys.readouterr().out
    assert "\ngoes on     careful to lossless: the file computes in integers already" in shown
    assert not any("careful" in line.partition(":")[0] for line in shown.splitlines() if line.startswith("not here"))
    assert read_model(tmp_path / "models" / "whole", "model.toml").declared.recipe == "lossless"


def test_a_file_in_half_precision_is_not_offered_half_precision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`float16` was listed, and ended in a refusal."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, [1, 4]) for name in "xy"]
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float16), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", values[:1], values[1:], [weight])
    file = tmp_path / "half.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    assert cli.main(["inspect", str(file), "--json"]) == 0
    assert "half precision already" in json.loads(capsys.readouterr().out)["refused"]["float16"]
    assert cli.main(["init", str(file), "-C", str(tmp_path), "--name", "half", "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)["checked"]
    assert "half precision already" in seen["techniques"]["float16"]
    assert seen["recipes"]["float16"] == seen["techniques"]["float16"]
    assert (seen["techniques"]["int8"], seen["recipes"]["careful"]) == ("", "")
