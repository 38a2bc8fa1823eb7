"""A file with one score for two classes is a classification, and what its scores are is seen by what it answers."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image

from edgebuild.formats import _ends
from edgebuild.spec.data import Guess
from edgebuild.spec.look import Look
from edgebuild.spec.project import open_project
from edgebuild.spec.signature import TensorSpec
from edgebuild.verbs import inspect
from edgebuild.verbs.drafting import draft, pictures
from edgebuild.verbs.drafting.examples import Recognised
from edgebuild.verbs.drafting.interview import Interview, Wishes
from edgebuild.verbs.drafting.outputs import Answers
from tests.formats import lite


def file(folder: Path, width: int, *, sigmoid: bool, scale: float = 1.0) -> Path:
    """Scores of a picture [3, 4, 4], each for itself; `scale` is that of the layer's weights, whose bias is 0.5."""
    weights = np.random.default_rng(0).normal(0, scale, size=(48, width)).astype("float32")
    bias = np.full(width, 0.5, "float32")
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["z"]),
        helper.make_node("Sigmoid" if sigmoid else "Identity", ["z"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(name, 1, [1, *size]) for name, size in (("x", [3, 4, 4]), ("y", [width]))]
    graph = helper.make_graph(
        nodes, "g", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "m.onnx")
    return folder / "m.onnx"


def drafted(path: Path, data: Path, **wishes: Any) -> dict[str, Any]:
    project = open_project(path.parent)
    interview = Interview(project, path, "m", inspect.run(path), Wishes(data=data, **wishes), None)
    return tomllib.loads(draft.text(interview))


@pytest.mark.parametrize("sigmoid", [True, False])
def test_one_score_for_two_folders_is_a_classification(tmp_path: Path, sigmoid: bool) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (5, 5), (number, 0, 9)).save(tmp_path / "pets" / name / f"{number}.png")
    (output,) = drafted(file(tmp_path, 1, sigmoid=sigmoid), tmp_path / "pets")["outputs"]
    assert (output["shape"], output["task"], output["labels"]) == ([1], "classification", ["cat", "dog"])
    assert output.get("scores") == ("probabilities" if sigmoid else None)


@pytest.mark.parametrize("sigmoid", [True, False])
def test_scores_of_several_classes_are_seen_too(tmp_path: Path, sigmoid: bool) -> None:
    marks = np.random.default_rng(0).integers(0, 2, (20, 5))
    np.savez(tmp_path / "d.npz", x=np.zeros((20, 3, 4, 4), "float32"), y=marks)
    model = drafted(file(tmp_path, 5, sigmoid=sigmoid), tmp_path / "d.npz")
    assert model["task"] == "multilabel"
    assert model.get("scores") == ("probabilities" if sigmoid else None)


@pytest.mark.parametrize("sigmoid", [True, False])
def test_logits_that_lie_between_0_and_1_are_logits_where_the_file_ends_in_a_layer(
    tmp_path: Path, sigmoid: bool
) -> None:
    """By what noise is answered they were taken for probabilities, and all of them were of the second class or none."""
    np.savez(tmp_path / "d.npz", x=np.zeros((20, 3, 4, 4), "float32"), y=np.arange(20) % 2)
    (output,) = drafted(file(tmp_path, 1, sigmoid=sigmoid, scale=1e-3), tmp_path / "d.npz")["outputs"]
    assert output.get("scores") == ("probabilities" if sigmoid else None)


@pytest.mark.parametrize(("kind", "scores"), [("FULLY_CONNECTED", None), ("LOGISTIC", "probabilities")])
def test_so_are_those_of_a_tflite_file(tmp_path: Path, kind: str, scores: str | None) -> None:
    held = {1: np.full((1, 8), 1e-3, "float32"), 2: np.full(1, 0.5, "float32")} if scores is None else {}
    size = 1 if scores else 8
    (tmp_path / "m.tflite").write_bytes(
        lite.file(kind, [(1, size)], (1, 1), held, "" if scores else "FullyConnectedOptions")
    )
    np.savez(tmp_path / "d.npz", x=np.zeros((20, size), "float32"), y=np.arange(20) % 2)
    (output,) = drafted(tmp_path / "m.tflite", tmp_path / "d.npz")["outputs"]
    assert output.get("scores") == scores


def test_what_a_damaged_file_makes_of_itself_comes_from_nothing() -> None:
    makers = {"y": _ends.Maker("RESHAPE", ("z",), False), "z": _ends.Maker("ADD", ("y", "z"), True)}
    assert _ends.kinds(["y", "x"], makers, ("RESHAPE",), "ADD") == {"y": "", "x": ""}


def test_rows_of_zeros_and_ones_are_two_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((20, 3, 4, 4), "float32"), y=np.arange(20) % 2)
    (output,) = drafted(file(tmp_path, 1, sigmoid=True), tmp_path / "d.npz")["outputs"]
    assert (output["task"], output["labels"]) == ("classification", ["0", "1"])


@pytest.mark.parametrize(("layer", "std"), [("Rescaling", 1 / 255), ("Dense", 1.0)])
def test_pixels_go_as_they_are_into_a_keras_model_that_scales_them(tmp_path: Path, layer: str, std: float) -> None:
    look = Look("Keras model", operators={layer: 1})
    seen = inspect.Inspected("m.keras", "keras", look, (), {}, ())
    interview = Interview(open_project(tmp_path), tmp_path / "m.keras", "m", seen, Wishes(), None)
    data = Recognised("images", Guess("pictures", {}, pictures=True))
    lines = pictures.table(interview, (TensorSpec("x", (8, 8, 3)),), data, Answers((), [], []))
    assert tomllib.loads("\n".join(lines))["preprocess"]["std"] == [pytest.approx(std)]
