"""Files of scikit-learn's exporters answer words and maps: what is left are arrays of numbers, and that is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgebuild.formats import _onnx_words
from edgebuild.sources.onnx import Onnx
from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import open_project
from edgebuild.spec.signature import TensorSpec
from edgebuild.verbs import inspect
from edgebuild.verbs.drafting import draft
from edgebuild.verbs.drafting.interview import Interview, Wishes

info, node = helper.make_tensor_value_info, helper.make_node
NAMES = ("setosa", "other", "virginica")


def saved(path: Path, graph: onnx.GraphProto) -> Path:
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=versions, ir_version=9), path)
    return path


def classifier(folder: Path, names: tuple[str | int, ...] = NAMES) -> Path:
    """As skl2onnx writes one: the class by its name, and a map of probabilities."""
    words = isinstance(names[0], str)
    labels = {"classlabels_strings" if words else "classlabels_ints": list(names)}
    weights = np.random.default_rng(0).normal(size=6).tolist()
    scores = node(
        *("LinearClassifier", ["x"], ["label", "scores"], "linear", "", "ai.onnx.ml"),
        coefficients=weights, intercepts=[0.1, 0.2, 0.3], post_transform="SOFTMAX", **labels,
    )  # fmt: skip
    labels = {"classlabels_strings" if words else "classlabels_int64s": list(names)}
    maps = node("ZipMap", ["scores"], ["probability"], "maps", "", "ai.onnx.ml", **labels)
    kind = helper.make_map_type_proto(
        TensorProto.STRING if words else TensorProto.INT64, helper.make_tensor_type_proto(1, [])
    )
    probability = helper.make_value_info("probability", helper.make_sequence_type_proto(kind))
    label = info("label", TensorProto.STRING if words else TensorProto.INT64, [None])
    graph = helper.make_graph([scores, maps], "g", [info("x", 1, [None, 2])], [label, probability])
    return saved(folder / "flowers.onnx", graph)


def test_a_map_becomes_the_scores_that_it_is_made_of_and_words_are_left_out(tmp_path: Path) -> None:
    file, x = classifier(tmp_path), np.array([[1, 2]], "float32")
    look, reader = Onnx.look(file), Onnx("flowers.onnx")
    assert [(port.name, port.shape[1:], port.dtype) for port in look.outputs] == [("probability", (3,), "float32")]
    assert look.classes == NAMES
    assert look.notes == (
        "output 'label' is left out: it answers words",
        "output 'probability' is an array of scores: its map from classes to scores is left out",
    )
    ((answered,),) = reader.answers(file, [(x,)])
    assert answered.shape == (1, 3)
    assert answered.sum() == pytest.approx(1)
    adopted = onnx.load_from_string(reader.adopt(file, (TensorSpec("x", (2,)),)))
    assert [value.name for value in adopted.graph.output] == ["probability"]


def test_classes_that_are_numbers_stay_an_output_which_the_task_is_not_asked_of(tmp_path: Path) -> None:
    file = classifier(tmp_path, (0, 1, 2))
    (tmp_path / "rows.csv").write_text("a,b,kind\n" + "".join(f"{k},{k % 5},{k % 3}\n" for k in range(30)))
    wishes = Wishes(data=tmp_path / "rows.csv")
    interview = Interview(open_project(tmp_path), file, "m", inspect.run(file), wishes, None)
    text = draft.text(interview)
    label, probability = text.partition('name = "probability"')[::2]
    assert "task =" not in label.partition("[[outputs]]")[2]
    assert 'task = "classification"\nlabels = ["0", "1", "2"]' in probability
    asked = "classification is asked of output 'probability', which has the scores; the others are held to parity alone"
    assert any(guess.startswith(asked) for guess in interview.guesses)


def test_classes_that_the_file_names_come_before_those_of_folders_in_their_order(tmp_path: Path) -> None:
    file = classifier(tmp_path)
    (tmp_path / "rows.csv").write_text("a,b,kind\n" + "".join(f"{k},{k % 5},{NAMES[k % 3]}\n" for k in range(30)))
    wishes = Wishes(data=tmp_path / "rows.csv")
    interview = Interview(open_project(tmp_path), file, "m", inspect.run(file), wishes, None)
    assert 'labels = ["setosa", "other", "virginica"]' in draft.text(interview)


def test_one_value_is_no_score_of_classes_though_labels_are_whole(tmp_path: Path) -> None:
    regressor = node(
        "LinearRegressor", ["x"], ["y"], "linear", "", "ai.onnx.ml", coefficients=[1.0, 2.0], intercepts=[0.5]
    )
    graph = helper.make_graph([regressor], "g", [info("x", 1, [None, 2])], [info("y", 1, [None, 1])])
    file = saved(tmp_path / "price.onnx", graph)
    (tmp_path / "rows.csv").write_text("a,b,price\n" + "".join(f"{k},{k % 5},{k * 7}\n" for k in range(30)))
    wishes = Wishes(data=tmp_path / "rows.csv")
    text = draft.text(Interview(open_project(tmp_path), file, "m", inspect.run(file), wishes, None))
    assert 'task = "regression"\noutputs = 1' in text


def test_words_that_go_in_are_named_with_what_to_do(tmp_path: Path) -> None:
    encoder = node("LabelEncoder", ["city"], ["y"], "", "", "ai.onnx.ml", keys_strings=["oslo"], values_floats=[1.0])
    graph = helper.make_graph([encoder], "g", [info("city", TensorProto.STRING, [None, 1])], [info("y", 1, [None, 1])])
    with pytest.raises(UsageError, match=r"takes words \('city'\)") as caught:
        Onnx.look(saved(tmp_path / "m.onnx", graph))
    assert "encoder" in str(caught.value.hint)


def test_what_goes_in_as_no_array_is_named_with_what_to_do(tmp_path: Path) -> None:
    joined = helper.make_node("ConcatFromSequence", ["several"], ["y"], axis=0)
    several = helper.make_tensor_sequence_value_info("several", TensorProto.FLOAT, None)
    file = saved(tmp_path / "m.onnx", helper.make_graph([joined], "g", [several], [info("y", 1, [None, 1])]))
    with pytest.raises(UsageError, match=r"takes a sequence, a map or an optional value \('several'\)") as caught:
        Onnx.look(file)
    assert "an input for each array" in str(caught.value.hint)


def test_a_file_that_answers_words_alone_is_refused(tmp_path: Path) -> None:
    file = classifier(tmp_path)
    model = onnx.load(file)
    del model.graph.output[1]
    with pytest.raises(UsageError, match="answers no array of numbers: output 'label' is left out"):
        _onnx_words.numbers(model)


@pytest.mark.parametrize("names", ["{0: 'person', 1: 'car'}", "['person', 'car']"])
def test_classes_are_read_where_ultralytics_writes_them(tmp_path: Path, names: str) -> None:
    model = onnx.load(classifier(tmp_path))
    del model.graph.node[:]
    model.metadata_props.add(key="names", value=names)
    assert _onnx_words.classes(model) == ("person", "car")


@pytest.mark.parametrize("names", ["{1: 'a'}", "exit()", "[1, 2]", "(" * 500, "{}"])
def test_metadata_that_names_no_classes_is_none(tmp_path: Path, names: str) -> None:
    model = onnx.load(classifier(tmp_path))
    del model.graph.node[:]
    model.metadata_props.add(key="names", value=names)
    assert _onnx_words.classes(model) == ()
