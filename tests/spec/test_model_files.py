"""Reading a model: types are strict, declarations may not contradict each other, paths stay inside the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_model
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.signature import Head, TensorSpec

GOOD = """\
description = "a model"
builder = "build"
data = "load"
labels = ["no", "yes"]
weights = "weights/final.safetensors"
include = ["tables/*.csv"]
[[inputs]]
name = "image"
shape = [3, 8, 16]
[preprocess]
width = 16
height = 8
channels = 3
mean = [0.5]
std = [0.2, 0.2, 0.3]
[training]
epochs = 2
learning_rate = 1
[budgets.rpi4]
size = "1 MiB"
"""


def read(folder: Path, text: str) -> ModelSpec:
    home = folder / "thing"
    home.mkdir(exist_ok=True)
    (home / "model.toml").write_text(text)
    return read_model(home, "models/thing/model.toml")


def refusal(folder: Path, before: str, after: str) -> str:
    """The line for the good file with `after` in the place of `before`."""
    assert GOOD.count(before) == 1
    with pytest.raises(UsageError) as caught:
        read(folder, GOOD.replace(before, after))
    line = caught.value.line
    assert line.startswith("models/thing/model.toml: ")
    return line.removeprefix("models/thing/model.toml: ")


def test_a_model_is_read_with_whole_numbers_standing_for_floats(tmp_path: Path) -> None:
    model = read(tmp_path, GOOD)
    assert (model.name, model.folder) == ("thing", tmp_path / "thing")
    assert model.declared.training.learning_rate == 1.0
    assert model.declared.inputs[0].shape == (3, 8, 16)
    assert dict(model.declared.budgets["rpi4"]) == {"size": "1 MiB"}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("epochs = 2", "epochs = 1.5", "training.epochs: input should be a valid integer, got 1.5"),
        ("epochs = 2", "epochs = true", "training.epochs: input should be a valid integer, got true"),
        ("epochs = 2", 'epochs = "2"', 'training.epochs: input should be a valid integer, got "2"'),
        ("epochs = 2", "epochs = 0", "training.epochs: input should be greater than or equal to 1, got 0"),
        ("learning_rate = 1", "learning_rate = true", "training.learning_rate: input should be a valid number, got tr"),
        ("learning_rate = 1", "learning_rate = inf", "training.learning_rate: input should be a finite number, got"),
        ("epochs = 2", "seed = -1", "training.seed: input should be greater than or equal to 0, got -1"),
        ("epochs = 2", "ephocs = 2", "training: unknown key 'ephocs' (did you mean 'epochs'? known: averaging, "),
        ('include = ["tables/*.csv"]', 'tools = [""]', "tools[0]: string should match pattern "),
        ("[3, 8, 16]", "[3, 8.0, 16]", "inputs[0].shape[1]: input should be a valid integer, got 8.0"),
        ("[3, 8, 16]", "[3, 0, 16]", "inputs[0].shape[1]: input should be greater than or equal to 1, got 0"),
        ('["no", "yes"]', '["yes"]', "labels: tuple should have at least 2 items"),
        ('"1 MiB"', "1048576", "budgets.rpi4.size: input should be a valid string, got 1048576"),
        ('size = "1 MiB"', "", None),
        ("channels = 3", "channels = 2", "preprocess.channels: input should be 1 or 3, got 2"),
        ("channels = 3", "invert = 1", "preprocess.invert: input should be a valid boolean, got 1"),
        (
            "channels = 3",
            'kind = "images\\u001b"',
            "preprocess: there is no kind 'images\\x1b' (did you mean 'image'? known: image, mel, window, wordpiece)",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_key(tmp_path: Path, before: str, after: str, told: str | None) -> None:
    if told is None:
        assert read(tmp_path, GOOD.replace(before, after)).declared.budgets == {"rpi4": {}}
    else:
        assert refusal(tmp_path, before, after).startswith(told)


def test_declarations_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    twice = '[[inputs]]\nname = "image"\nshape = [1]\n[preprocess]'
    assert refusal(tmp_path, "[preprocess]", twice) == "inputs must have different names, not image, image"
    shape = "preprocess makes one float32 input of shape [3, 8, 9]; inputs says otherwise"
    assert refusal(tmp_path, "width = 16", "width = 9") == shape
    assert refusal(tmp_path, "mean = [0.5]", "mean = [0.5, 0.5]") == "preprocess: mean has 2 values for 3 channels"


@pytest.mark.parametrize("value", ['"image"', "1.5", "[]", "[{}]"])
def test_a_preprocessing_that_is_no_table_is_refused(tmp_path: Path, value: str) -> None:
    table = GOOD[GOOD.index("[preprocess]") : GOOD.index("[training]")]
    with pytest.raises(UsageError, match=r"model\.toml: preprocess: input should be an object, got "):
        read(tmp_path, GOOD.replace(table, "").replace("[[inputs]]", f"preprocess = {value}\n[[inputs]]"))


@pytest.mark.parametrize(
    ("base", "told"),
    [
        ("3", "base: input should be a valid string, got 3"),
        ('""', "base: there is no model '' (known: thing)"),
        ('"../thing"', "base: there is no model '../thing' (did you mean 'thing'? known: thing)"),
    ],
)
def test_a_base_that_is_none_is_told_before_what_it_leaves_open(tmp_path: Path, base: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, f'description = "x"\nbase = {base}\n')
    assert caught.value.line == f"models/thing/model.toml: {told}"


@pytest.mark.parametrize("path", ["/etc/passwd", "../other/w.bin", "a/../../b", "", "a\\\\b", "a\\u0000b"])
def test_paths_must_stay_inside_the_models_folder(tmp_path: Path, path: str) -> None:
    told = "must name something inside the model's folder"
    line = refusal(tmp_path, '"weights/final.safetensors"', f'"{path}"')
    assert line.startswith("weights: ")
    assert told in line
    line = refusal(tmp_path, '"tables/*.csv"', f'"ok.csv", "{path}"')
    assert line.startswith("include[1]: ")
    assert told in line


VALUES = GOOD.replace('labels = ["no", "yes"]', 'task = "regression"\noutputs = 3')


def test_a_model_answers_a_score_for_each_class_or_the_declared_values(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).declared.signature.outputs[0].shape == (2,)
    declared = read(tmp_path, VALUES).declared
    assert (declared.heads, declared.signature.outputs) == (
        (Head("output", "regression"),),
        (TensorSpec("output", (3,)),),
    )


TASKS = {
    "no classes": (GOOD.replace("labels", "#"), "task: a classification names its classes in labels"),
    "a count of classes": (
        GOOD.replace("data =", "outputs = 2\ndata ="),
        "outputs: labels names the classes",
    ),
    "no outputs": (VALUES.replace("outputs", "#"), "outputs: is missing: how many values does the model answer?"),
    "names of values": (VALUES.replace("outputs = 3", 'labels = ["a", "b"]'), "task: task 'regression' has no classes"),
    "none answered": (VALUES.replace("= 3", "= 0"), "outputs: input should be greater than or equal to 1, got 0"),
    "unknown": (
        VALUES.replace("regression", "ranking"),
        "task: unknown task 'ranking' (known: ",
    ),
    "smoothed values": (
        VALUES.replace("epochs", "label_smoothing = 0.1\nepochs"),
        "training.label_smoothing: label_smoothing is for classes; task 'regression' has none",
    ),
}


@pytest.mark.parametrize("kind", TASKS)
def test_a_task_that_contradicts_what_is_answered_is_refused(tmp_path: Path, kind: str) -> None:
    text, told = TASKS[kind]
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert caught.value.line.startswith(f"models/thing/model.toml: {told}")


SEVERAL = (
    GOOD.replace('labels = ["no", "yes"]\n', "")
    + """
[[outputs]]
name = "kind"
shape = [2]
task = "classification"
labels = ["no", "yes"]
[[outputs]]
name = "features"
shape = [4, 3, 3]
meaning = "of the last layer"
[[outputs]]
name = "place"
shape = [2]
task = "regression"
weight = 0.5
"""
)


def test_a_model_of_several_outputs_has_a_head_for_each_that_has_a_task(tmp_path: Path) -> None:
    declared = read(tmp_path, SEVERAL).declared
    assert declared.heads == (
        Head("kind", "classification", (0,), labels=("no", "yes")),
        Head("place", "regression", (2,), weight=0.5),
    )
    assert [(one.name, one.shape) for one in declared.signature.outputs] == [
        ("kind", (2,)), ("features", (4, 3, 3)), ("place", (2,)),
    ]  # fmt: skip
    assert declared.signature.outputs[1].meaning == "of the last layer"
    assert {one.meaning for one in declared.signature.bare.outputs} == {""}


def test_a_task_of_the_whole_model_has_all_its_outputs(tmp_path: Path) -> None:
    table = 'task = "regression"\n[[outputs]]\nname = "map"\nshape = [4, 3, 3]\n'
    declared = read(tmp_path, GOOD.replace('labels = ["no", "yes"]\n', "").replace("[[inputs]]", f"{table}[[inputs]]"))
    assert declared.declared.heads == (Head("map", "regression", (0,)),)


TABLES = {
    "twice": (("place", "kind"), "outputs[2].name: outputs must have different names, not kind, features, kind"),
    "a misspelt key": (("weight", "wieght"), "outputs[2]: unknown key 'wieght' (did you mean 'weight'? known: "),
    "no shape": (("[4, 3, 3]", "[4, 0, 3]"), "outputs[1].shape[1]: input should be greater than or equal to 1, got 0"),
    "fewer classes": (
        ('shape = [2]\ntask = "c', 'shape = [3]\ntask = "c'),
        "outputs[0]: 2 labels are named",
    ),
    "an unknown task": (
        ("regression", "regresion"),
        "outputs[2].task: unknown task 'regresion' (did you mean",
    ),
    "labels of nothing": (('task = "classification"\n', ""), "outputs[0].labels: output 'kind' has no task to use it"),
    "the task twice": (('data = "load"', 'data = "load"\ntask = "regression"'), "outputs[0].task: task is said of the"),
    "no file name": (('"place"', '"../place"'), "outputs[2].name: string should match pattern"),
    "whole numbers": (
        ('task = "classification"\n', 'task = "classification"\ndtype = "int64"\n'),
        "outputs[0]: task 'classification' learns from float32 answers",
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_outputs_that_contradict_are_refused_with_their_key(tmp_path: Path, kind: str) -> None:
    (old, new), told = TABLES[kind]
    assert old in SEVERAL
    with pytest.raises(UsageError) as caught:
        read(tmp_path, SEVERAL.replace(old, new))
    assert caught.value.line.startswith(f"models/thing/model.toml: {told}")


def test_outputs_of_which_none_has_a_task_are_refused(tmp_path: Path) -> None:
    table = '[[outputs]]\nname = "map"\nshape = [4, 3, 3]\n'
    with pytest.raises(UsageError, match=r"model.toml: outputs: no output has a task, so there is nothing to learn"):
        read(tmp_path, GOOD.replace('labels = ["no", "yes"]\n', "") + table)
