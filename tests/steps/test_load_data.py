"""Data of the user's own function: kept as declared, or refused in one line that names file and function."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebuild.data.function import Function
from edgebuild.spec import dataset, notes, unshared
from edgebuild.spec.errors import UsageError
from edgebuild.spec.preprocess import WordpieceInput
from edgebuild.spec.reads import Memo
from edgebuild.spec.signature import Head, Signature, TensorSpec
from edgebuild.steps.load_data import LoadData
from tests import tiny

Refuse = Callable[..., str]

CUT = "load() gave no validation split: {} of {} training examples are set aside for it"
ONE = (TensorSpec("image", (2, 3)),)
TWO = (TensorSpec("image", (2, 3)), TensorSpec("tokens", (4,), "int64"))
GOOD = """
import numpy as np
x, y = np.ones((5, 2, 3)), np.arange(5) % 2
def load():
    return {"train": (x, y), "test": (x, y)}
"""


def step(inputs: tuple[TensorSpec, ...] = ONE) -> LoadData:
    signature = Signature(inputs, (TensorSpec("output", (2,)),))
    return LoadData(Function("load"), signature, (Head("output", "classification"),), "models/m")


def loaded(source: Callable[[str], Path], folder: Path, code: str, inputs: tuple[TensorSpec, ...] = ONE) -> Path:
    return tiny.perform(step(inputs), folder / "output", {"code": ("code", source(code))})


def test_both_splits_are_kept_in_the_declared_types(source: Callable[[str], Path], tmp_path: Path) -> None:
    output = loaded(source, tmp_path, GOOD)
    train = dataset.read(output, "train")
    assert (train.inputs[0].dtype, train.labels[0].dtype) == (np.dtype("float32"), np.dtype("int64"))
    assert train.inputs[0].shape == (4, 2, 3)
    assert json.loads((output / "data.json").read_text()) == {
        "examples": {"train": 4, "test": 5, "validation": 1},
        "heads": [{"name": "output", "task": "classification", "outputs": [0], "weight": 1.0}],
        "inputs": [{"dtype": "float32", "scale": None}],
        "cut": True,
    }


def test_lists_small_integers_and_torch_tensors_are_taken_as_arrays(
    source: Callable[[str], Path], tmp_path: Path
) -> None:
    code = """
import numpy as np, torch
def load():
    images = torch.ones(3, 2, 3)
    tokens = np.array([[1, 2, 3, 4]] * 3, dtype=np.uint8)
    return {"train": [(images, tokens), [0, 1, 0]], "test": ((images, tokens), torch.tensor([0, 1, 1]))}
"""
    found = dataset.read(loaded(source, tmp_path, code, TWO), "test")
    assert [values.dtype for values in found.inputs] == [np.float32, np.int64]
    assert found.labels[0].tolist() == [0, 1, 1]


def test_a_validation_split_that_the_data_brings_is_kept_and_nothing_is_cut(
    source: Callable[[str], Path], tmp_path: Path
) -> None:
    output = loaded(source, tmp_path, GOOD.replace('"test"', '"validation": (x[:3], y[:3]), "test"'))
    assert dataset.examples(output) == {"train": 5, "validation": 3, "test": 5}
    assert not dataset.is_cut(output)
    assert notes.read(output) == []
    assert len(dataset.read(output, "validation")) == 3


def test_examples_that_are_cut_are_in_one_split_alone_and_told(source: Callable[[str], Path], tmp_path: Path) -> None:
    code = """
import numpy as np
x, y = np.arange(200.0).repeat(6).reshape(200, 2, 3), np.arange(200) % 2
def load():
    return {"train": (x[:100], y[:100]), "test": (x[100:], y[100:])}
"""
    output = loaded(source, tmp_path, code)
    assert dataset.is_cut(output)
    parts = {
        name: dataset.read(output, name).inputs[0][:][:, 0, 0].tolist() for name in ("train", "validation", "test")
    }
    assert {name: len(values) for name, values in parts.items()} == {"train": 90, "validation": 10, "test": 100}
    assert sorted(value for values in parts.values() for value in values) == list(range(200))


def test_a_single_training_example_leaves_none_to_choose_by(refusal: Refuse) -> None:
    told = refusal(step(), GOOD.replace('"train": (x, y)', '"train": (x[:1], y[:1])'))
    assert told.startswith("models/m/model.py: load(): split 'train' has 1 example, and one more is needed")


READING = """
import numpy as np
def load(reads):
    x = np.load(reads["../data/x.npy"])
    parts = [np.load(path) for path in reads["../data/part*.npy"]]
    assert [len(part) for part in parts] == [1, 2] and reads["../data"].is_dir()
    return {"train": (x, [0, 1, 0]), "test": (x, [0, 1, 0])}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of data beside the model's."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, count in (("x", 3), ("part1", 1), ("part2", 2)):
        np.save(folder / f"{name}.npy", np.ones((count, 2, 3), np.float32))
    return folder


def reading(folder: Path, *names: str) -> LoadData:
    found = tuple(Memo().read(folder / "model", name) for name in names)
    return replace(step(), reads=tuple(read for read in found if read))


def test_data_is_given_the_places_of_what_it_reads(source: Callable[[str], Path], tmp_path: Path, data: Path) -> None:
    one = reading(tmp_path, "../data/x.npy", "../data/part*.npy", "../data")
    output = tiny.perform(one, tmp_path / "output", {"code": ("code", source(READING))})
    assert dataset.examples(output) == {"train": 2, "validation": 1, "test": 3}
    assert notes.read(output) == [CUT.format(1, 3)]


def test_bytecode_is_none_of_what_data_reads_wherever_python_keeps_it(
    source: Callable[[str], Path], tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", str(data))
    code = GOOD + f"    \nold = load\ndef load():\n    np.load({str(data / 'x.npy')!r})\n    return old()\n"
    assert notes.read(loaded(source, tmp_path, code)) == [CUT.format(1, 5)]


def test_what_data_reads_without_saying_so_is_told(source: Callable[[str], Path], tmp_path: Path, data: Path) -> None:
    code = GOOD + f"    \nold = load\ndef load():\n    np.load({str(data / 'x.npy')!r})\n    return old()\n"
    line, cut = notes.read(output := loaded(source, tmp_path, code))
    assert unshared.is_marked(output)  # another machine's file may be another one
    assert cut == CUT.format(1, 5)
    assert line == "load() read 'x.npy', which reads does not name: when they change, the data is not loaded anew"
    output = tiny.perform(reading(tmp_path, "../data"), tmp_path / "named", {"code": ("code", source(code))})
    assert notes.read(output) == [cut]
    assert not unshared.is_marked(output)


def test_what_changes_while_it_is_read_is_refused(refusal: Refuse, tmp_path: Path, data: Path) -> None:
    """What was loaded would lie under the digest of something else."""
    code = GOOD + f"    \nold = load\ndef load():\n    np.save({str(data / 'x.npy')!r}, x)\n    return old()\n"
    told = "models/m/model.toml: reads[0]: '../data/x.npy' was changed while the build read it (build again)"
    assert refusal(reading(tmp_path, "../data/x.npy"), code) == told


SPLITS = {
    "no examples": ("x[:0], y[:0]", "has no examples"),
    "NaN": ("np.where(np.arange(5)[:, None, None] == 3, np.nan, x), y",
            "input 'image' has NaN, infinite or too large values for float32, first in example 3"),
    "infinity": ("x * np.inf, y", "input 'image' has NaN, infinite or too large values for float32, first in exam"),
    "too large for float32": ("x * 1e300, y", "input 'image' has NaN, infinite or too large values for float32"),
    "label too high": ("x, y + 1", "has labels from 1 to 2; the model declares 2 classes"),
    "label below zero": ("x, y - 1", "has labels from -1 to 0; the model declares 2 classes"),
    "labels as floats": ("x, y * 1.0", "needs whole-number labels of shape [N], got float64 [5]"),
    "labels one-hot": ("x, np.eye(2, dtype=int)[y]", "needs whole-number labels of shape [N], got int64 [5, 2]"),
    "labels as booleans": ("x, y > 0", "needs whole-number labels of shape [N], got bool [5]"),
    "labels as text": ("x, ['a'] * 5", "needs whole-number labels of shape [N], got <U1 [5]"),
    "fewer labels": ("x, y[:4]", "input 'image' has shape [5, 2, 3]; declared and labelled are [4, 2, 3]"),
    "wrong shape": ("x.transpose(0, 2, 1), y", "input 'image' has shape [5, 3, 2]; declared and labelled are [5, "),
    "no batch axis": ("x[0], y", "input 'image' has shape [2, 3]; declared and labelled are [5, 2, 3]"),
    "too many inputs": ("(x, x), y", "has 2 inputs, the model declares 1"),
    "no inputs": ("(), y", "has 0 inputs, the model declares 1"),
    "complex numbers": ("x * 1j, y", "input 'image' has elements of type complex128, declared are float32"),
    "text": ("x.astype(str), y", "input 'image' has elements of type <U32, declared are float32"),
    "objects": ("x.astype(object), y", "input 'image' has elements of type object, declared are float32"),
    "ragged": ("[[[1, 2], [3]]], y", "cannot be read as arrays: "),
    "no pair": ("x", "must be a pair (inputs, labels)"),
    "three parts": ("x, y, y", "must be a pair (inputs, labels)"),
    "nothing": ("None", "must be a pair (inputs, labels)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPLITS)
def test_a_split_that_is_not_as_declared_is_refused(refusal: Refuse, kind: str) -> None:
    given, told = SPLITS[kind]
    code = GOOD.replace('"test": (x, y)', f'"test": ({given})')
    assert refusal(step(), code).startswith(f"models/m/model.py: load(): split 'test' {told}")


TOKENS = {
    "fractions": ("np.ones((5, 4)) / 2", "has elements of type float64, declared are int64"),
    "too large": ("np.full((5, 4), 2**63, dtype=np.uint64)", "has NaN, infinite or too large values for int64"),
}


@pytest.mark.parametrize("kind", TOKENS)
def test_numbers_that_a_declared_whole_type_cannot_hold_are_refused_not_cut(refusal: Refuse, kind: str) -> None:
    given, told = TOKENS[kind]
    code = GOOD.replace("(x, y)", f"((x, {given}), y)")
    assert refusal(step(TWO), code).startswith(f"models/m/model.py: load(): split 'train' input 'tokens' {told}")


FUNCTIONS = {
    "raises": ("def load():\n    raise ValueError('no file\\nmore')", "load(): raised ValueError: no file at line 2"),
    "returns rubbish": ("def load():\n    return 7", "load(): returned int, not a mapping of splits"),
    "one split": (GOOD.replace('"test"', '"held out"'), "load(): split 'test' must be a pair (inputs, labels)"),
    "is missing": ("def lode():\n    return 7", "data: has no function 'load'"),
    "is no function": ("load = 7", "data: has no function 'load'"),
    "wants arguments": ("def load(path):\n    return 7", "load(): raised TypeError: load() missing 1 required "),
    "file does not compile": ("def load(:\n", "data: raised SyntaxError: invalid syntax (model.py, line 1)"),
    "file fails": ("import numpy\n1 / 0", "data: raised ZeroDivisionError: division by zero at line 2"),
    "file imports what is not there": ("import nunpy", "data: raised ModuleNotFoundError: No module named 'nunpy' at"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function_that_gives_no_data_is_refused_with_the_line_of_its_fault(refusal: Refuse, kind: str) -> None:
    code, told = FUNCTIONS[kind]
    assert refusal(step(), code).startswith(f"models/m/model.py: {told}")


def test_the_models_code_may_import_its_neighbours_and_leaves_no_trace_in_its_folder(
    source: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    folder = source("from neighbour_of_the_model import load\n")
    (folder / "neighbour_of_the_model.py").write_text(GOOD)
    tiny.perform(step(), tmp_path / "output", {"code": ("code", folder)})
    assert sorted(path.name for path in folder.rglob("*")) == ["model.py", "neighbour_of_the_model.py"]


def of_task(task: str) -> LoadData:
    return LoadData(
        Function("load"), Signature(ONE, (TensorSpec("output", (3,)),)), (Head("output", task),), "models/m"
    )


VALUES = """
import numpy as np
x, y = np.ones((5, 2, 3)), np.arange(15.0).reshape(5, 3) + 1
def load():
    return {"train": (x, y), "test": (x, y)}
"""


@pytest.mark.parametrize("task", ["regression", "embedding"])
def test_targets_are_kept_as_floats_and_the_data_says_what_they_are(
    source: Callable[[str], Path], tmp_path: Path, task: str
) -> None:
    out = tiny.perform(of_task(task), tmp_path / "out", {"code": ("code", source(VALUES))})
    test = dataset.read(out, "test")
    assert (test.labels[0].dtype, test.labels[0].shape, float(test.labels[0][4, 2])) == (np.float32, (5, 3), 15.0)
    assert dataset.heads(out) == (Head("output", task),)


TARGETS = {
    "class numbers": ("x, np.arange(5)", "regression", "needs numbers of shape [N, 3] as labels for task 'regression'"),
    "another width": ("x, y[:, :2]", "regression", "needs numbers of shape [N, 3] as labels for task 'regression', g"),
    "no numbers": ("x, y > 2", "embedding", "needs numbers of shape [N, 3] as labels for task 'embedding', got bool"),
    "NaN": ("x, np.where(y == 8, np.nan, y)", "regression", "has NaN or infinite values among its labels, first in ex"),
    "too large": ("x, y * 1e300", "regression", "has NaN or infinite values among its labels, first in example 0"),
    "a vector of no length": (
        "x, y * (np.arange(5) != 2)[:, None]",
        "embedding",
        "has NaN, infinite or zero vectors among its labels, first in example 2",
    ),
    "fewer": ("x, y[:4]", "embedding", "input 'image' has shape [5, 2, 3]; declared and labelled are [4, 2, 3]"),
    "none": ("x, y[:0]", "embedding", "has no examples"),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_targets_that_are_none_are_refused(refusal: Refuse, kind: str) -> None:
    given, task, told = TARGETS[kind]
    code = VALUES.replace('"test": (x, y)', f'"test": ({given})')
    assert refusal(of_task(task), code).startswith(f"models/m/model.py: load(): split 'test' {told}")  # type: ignore[arg-type]


def test_unlabelled_examples_and_slices_are_kept(source: Callable[[str], Path], tmp_path: Path) -> None:
    more = '"unlabelled": [x[:3]], "slices": {"odd ones": y == 1, "a/b": y == 0}}'
    out = loaded(source, tmp_path, GOOD.replace("(x, y)}", f"(x, y), {more}"))
    (inputs,) = dataset.unlabelled(out)
    assert (inputs.shape, inputs.dtype) == ((3, 2, 3), np.float32)
    assert {name: mask.tolist() for name, mask in dataset.slices(out).items()} == {
        "odd ones": [False, True, False, True, False],
        "a/b": [True, False, True, False, True],
    }
    described = json.loads((out / "data.json").read_text())
    assert described["slices"] == ["odd ones", "a/b"]
    assert described["examples"]["unlabelled"] == 3


def test_data_without_them_has_none(source: Callable[[str], Path], tmp_path: Path) -> None:
    out = loaded(source, tmp_path, GOOD)
    assert (dataset.unlabelled(out), dataset.slices(out)) == ((), {})


def test_what_is_cut_of_groups_is_cut_between_them(source: Callable[[str], Path], tmp_path: Path) -> None:
    code = GOOD.replace("(x, y)}", '(x, y), "groups": {"train": [7, 8, 7, 8, 8], "test": [9] * 5}}')
    out = loaded(source, tmp_path, code)
    own = {split: dataset.groups(out, split) for split in ("train", "validation", "test")}
    assert {split: {*values.tolist()} for split, values in own.items() if values is not None} in (
        {"train": {0}, "validation": {1}, "test": {2}},
        {"train": {1}, "validation": {0}, "test": {2}},
    )
    assert dataset.examples(out)["train"] + dataset.examples(out)["validation"] == 5
    assert dataset.groups(loaded(source, tmp_path / "other", GOOD), "test") is None


MORE = {
    "a misspelt split": (
        '"unlabeled": x',
        "returned 'unlabeled', which nothing uses (did you mean 'unlabelled'? known",
    ),
    "unlabelled pairs": ('"unlabelled": (x, y)', "split 'unlabelled' has 2 inputs, the model declares 1"),
    "unlabelled of another shape": (
        '"unlabelled": x[0]',
        "split 'unlabelled' input 'image' has shape [2, 3]; declared",
    ),
    "no unlabelled": ('"unlabelled": x[:0]', "split 'unlabelled' has no examples"),
    "slices as a list": ('"slices": [y == 1]', "'slices' must map names to masks, not be list"),
    "a slice of numbers": (
        '"slices": {"odd": [1, 3]}',
        "slice 'odd' must be a mask of 5 booleans, one for each test example, not int64 [2]",
    ),
    "a slice of another length": ('"slices": {"odd": y[:4] == 1}', "slice 'odd' must be a mask of 5 booleans, one for"),
    "groups of one split": (
        '"groups": {"train": list("aabbc")}',
        "'groups' must have an array for each of train, test",
    ),
    "groups of another length": (
        '"groups": {"train": list("aabbc"), "test": list("dd")}',
        "groups of split 'test' must be 5 names or numbers, one for each example, not [2]",
    ),
    "a group of two splits": (
        '"groups": {"train": list("aabbc"), "test": list("ccddd")}',
        "the group 'c' is in split 'train' and in 'test': those of one are alike",
    ),
    "an empty slice": ('"slices": {"third": y == 3}', "slice 'third' has no examples"),
}


@pytest.mark.parametrize("kind", MORE)
def test_what_is_added_wrongly_is_refused_not_ignored(refusal: Refuse, kind: str) -> None:
    given, told = MORE[kind]
    code = GOOD.replace("(x, y)}", f"(x, y), {given}}}")
    assert refusal(step(), code).startswith(f"models/m/model.py: load(): {told}")


BOTH = (Head("kind", "classification", (0,)), Head("place", "regression", (1,)))
SEVERAL = LoadData(
    Function("load"), Signature(ONE, (TensorSpec("kind", (2,)), TensorSpec("place", (3, 2)))), BOTH, "models/m"
)
LABELS = """
import numpy as np
x, kind, place = np.ones((40, 2, 3)), np.arange(40) % 2, np.arange(240.0).reshape(40, 3, 2)
def load():
    return {"train": (x, LABELS), "test": (x, LABELS)}
"""


@pytest.mark.parametrize("labels", ['{"place": place, "kind": kind}', "(kind, place)"])
def test_labels_of_several_heads_come_by_name_or_in_their_order(
    source: Callable[[str], Path], tmp_path: Path, labels: str
) -> None:
    code = LABELS.replace("LABELS", labels)
    out = tiny.perform(SEVERAL, tmp_path / "out", {"code": ("code", source(code))})
    kind, place = dataset.read(out, "test").labels
    assert (kind.dtype, place.dtype, place.shape) == (np.int64, np.float32, (40, 3, 2))
    assert np.bincount(dataset.read(out, "validation").labels[0]).tolist() == [2, 2]  # in proportion to the classes


WRONG = {
    "another head": (
        '{"kind": kind, "plac": place}',
        "has labels for kind, plac, and the model's heads are kind, place",
    ),
    "one for both": ("kind", "needs labels for each of kind, place: a mapping by name, or a tuple in this order"),
    "one too few": ("(kind,)", "needs labels for each of kind, place: a mapping by name, or a tuple in this order"),
    "the wrong order": (
        "(place, kind)",
        "needs whole-number labels of shape [N], got float64 [40, 3, 2] (output 'kind')",
    ),
    "another shape": (
        "(kind, place[:, :, 0])",
        "needs numbers of shape [N, 3, 2] as labels for task 'regression', got",
    ),
    "another count": ("(kind, place[:39])", "has 40 labels for 'kind' and 39 for 'place'"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_labels_that_are_not_those_of_the_heads_are_refused(refusal: Refuse, kind: str) -> None:
    labels, told = WRONG[kind]
    line = refusal(SEVERAL, LABELS.replace("LABELS", labels))
    assert line.startswith(f"models/m/model.py: load(): split 'train' {told}")


UNLABELLED = """
import numpy as np
x = np.ones((5, 2, 3))
def load():
    return {"train": (x, None), "test": (x, np.arange(5) % 2)}
"""


def test_labels_may_be_left_out_where_the_task_needs_none(source: Callable[[str], Path], tmp_path: Path) -> None:
    same = Signature(ONE, (TensorSpec("output", (2, 3)),))
    step_ = LoadData(Function("load"), same, (Head("output", "anomaly"),), "models/m")
    output = tiny.perform(step_, tmp_path / "output", {"code": ("code", source(UNLABELLED))})
    assert not dataset.read(output, "train").labels[0].any()
    with pytest.raises(UsageError, match="split 'train' has no labels, and task 'classification' needs them"):
        loaded(source, tmp_path / "other", UNLABELLED)


def test_texts_become_what_the_vocabulary_makes_of_them(source: Callable[[str], Path], tmp_path: Path) -> None:
    words = tmp_path / "vocab.txt"
    words.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\n")
    inputs = (TensorSpec("attention_mask", (4,), "int32"), TensorSpec("input_ids", (4,), "int32"))
    read = Memo().read(tmp_path, "vocab.txt")
    assert read is not None
    how = WordpieceInput("wordpiece", "vocab.txt", 4)
    code = """
def load():
    return {"train": (["good", "Bad!"] * 8, [0, 1] * 8), "test": (["good good good"], [0]), "unlabelled": ["bad"]}
"""
    loading = replace(step(inputs), preprocess=how, reads=(read,))
    output = tiny.perform(loading, tmp_path / "output", {"code": ("code", source(code))})
    mask, ids = dataset.read(output, "test").inputs
    assert (mask[:].tolist(), ids[:].tolist()) == ([[1, 1, 1, 1]], [[2, 4, 4, 3]])
    assert [values[:].tolist() for values in dataset.unlabelled(output)] == [[[1, 1, 1, 0]], [[2, 5, 3, 0]]]
    with pytest.raises(UsageError) as caught:
        tiny.perform(step(inputs), tmp_path / "none", {"code": ("code", source(code))})
    told = "says how a text becomes the model's inputs, and is missing"
    assert caught.value.line == f"models/m/model.toml: preprocess: {told}"
