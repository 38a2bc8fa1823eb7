"""Splits that are iterables, `Dataset`s and `DataLoader`s: kept as they come, refused at the first odd example."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebuild.data.function import Function
from edgebuild.spec import dataset
from edgebuild.spec.errors import UsageError
from edgebuild.spec.preprocess import ImageInput
from edgebuild.spec.signature import Head, Signature, TensorSpec
from edgebuild.steps.load_data import LoadData
from tests import tiny

ONE = (TensorSpec("image", (2, 3)),)
TWO = (*ONE, TensorSpec("words", (4,), "int64"))
OUTPUT = (TensorSpec("output", (2,)),)
HEADS = (Head("output", "classification"),)
HEAD = """
import numpy as np, torch
x = np.arange(30, dtype=np.float32).reshape(5, 2, 3)
w, y = np.arange(20, dtype=np.int32).reshape(5, 4), [0, 1, 0, 1, 0]
class Numbered(torch.utils.data.Dataset):
    def __len__(self): return 5
    def __getitem__(self, k): return torch.tensor(x[k % 5]), y[k % 5]  # no end of its own
def stream():
    for one, label in zip(x, y):
        yield one, label
"""


def step(inputs: tuple[TensorSpec, ...] = ONE) -> LoadData:
    return LoadData(Function("load"), Signature(inputs, OUTPUT), HEADS, "models/m")


def loaded(tmp_path: Path, code: str, how: LoadData | None = None) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "model.py").write_text(HEAD + code)
    return tiny.perform(how or step(), tmp_path / "out", {"code": ("code", folder)})


def returning(split: str) -> str:
    return f'def load():\n    return {{"train": (x, y), "validation": (x, y), "test": {split}}}\n'


SPLITS = {
    "a generator": "stream()",
    "a list of pairs": "list(stream())",
    "a dataset": "Numbered()",
    "a loader": "torch.utils.data.DataLoader(Numbered(), batch_size=2)",
    "mappings": "({'image': one, 'label': label} for one, label in stream())",
    "mappings by the head's name": "({'image': one, 'output': label} for one, label in stream())",
    "batches of another size each": "iter([(x[:1], y[:1]), (x[1:], y[1:])])",
}


@pytest.mark.parametrize("kind", SPLITS)
def test_examples_that_come_one_after_another_are_kept(tmp_path: Path, kind: str) -> None:
    test = dataset.read(loaded(tmp_path, returning(SPLITS[kind])), "test")
    assert np.array_equal(test.inputs[0], np.arange(30, dtype=np.float32).reshape(5, 2, 3))
    assert test.labels[0].tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    "example", ["(a, b, c)", "((a, b), c)", "({'words': b, 'image': a}, c)", "{'image': a, 'words': b, 'y': c}"]
)
def test_several_inputs_keep_their_types(tmp_path: Path, example: str) -> None:
    splits = f'def load():\n    s = [{example} for a, b, c in zip(x, w, y)]\n    return {{"train": s, "test": s}}\n'
    test = dataset.read(loaded(tmp_path, splits, step(TWO)), "test")
    assert [values.dtype for values in test.inputs] == [np.float32, np.int64]
    assert np.load(tmp_path / "out" / "test.1.npy").dtype == np.int32  # half the disk, and the model sees int64
    assert test.inputs[1][2:3].tolist() == [[8, 9, 10, 11]]


def test_what_nobody_labelled_may_come_one_after_another_too(tmp_path: Path) -> None:
    code = returning("(x, y)").replace('"test"', '"unlabelled": (one for one in x), "test"')
    assert np.array_equal(dataset.unlabelled(loaded(tmp_path, code))[0], np.arange(30).reshape(5, 2, 3))


def test_pictures_of_any_size_are_kept_as_pixels(tmp_path: Path) -> None:
    how = ImageInput(width=3, height=2, mean=(0.5,))
    inputs = (TensorSpec("image", (1, 2, 3)),)
    several = "[(np.full((4 + k, 5, 3), 10 * k, np.uint8), 0) for k in range(3)]"
    code = f'def load():\n    s = {several}\n    return {{"train": s, "validation": s, "test": s}}\n'
    out = loaded(tmp_path, code, replace(step(inputs), preprocess=how))
    assert np.load(out / "test.0.npy").dtype == np.uint8
    assert dataset.read(out, "test").inputs[0][2:][0, 0] == pytest.approx(np.full((2, 3), 20 / 255 - 0.5))


ODD = {
    "another shape": ("iter([(x[0], 0), (x[1], 1), (x[2, :1], 0)])",
                      "example 2 has input 'image' of float32 [1, 3], and those before float32 [2, 3]"),
    "another type": ("iter([(x[0], 0), (x[1].astype(int), 1)])",
                     "example 1 has input 'image' of int64 [2, 3], and those before float32 [2, 3]"),
    "another kind of label": ("iter([(x[0], 0), (x[1], 1.5)])",
                              "example 1 has labels 'output' of float64 [], and those before int64 []"),
    "another batch": ("iter([(x[:2], y[:2]), (x[2:, :, :1], y[2:])])",
                      "example 2 has input 'image' of float32 [2, 1], and those before float32 [2, 3]"),
    "fewer labels": ("iter([(x[:2], y[:1])])", "example 0 begins a batch of 2 input 'image', 1 labels 'output'"),
    "no pair": ("iter(x)", "example 0 is ndarray, not a pair (inputs, labels) or a mapping by name"),
    "no label": ("iter([{'image': x[0], 'kind': 0}])", "example 0 has no 'output'; it has image, kind"),
    "its code fails": ("((x[k], 1 // (3 - k)) for k in range(5))", "example 3 raised ZeroDivisionError: integer divi"),
    "a wrong shape": ("((one[:, :2], 0) for one in x)", "input 'image' has shape [5, 2, 2]; declared and labelled are"),
    "nothing": ("iter(())", "has no examples"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_example_is_named_by_its_index(tmp_path: Path, kind: str) -> None:
    split, told = ODD[kind]
    with pytest.raises(UsageError) as caught:
        loaded(tmp_path, returning(split))
    assert caught.value.line.startswith(f"models/m/model.py: load(): split 'test' {told}")
