"""Arrays of an .npz: found by name, cut where they come without splits, read a block at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.data import npz
from edgebuild.spec import dataset, notes
from edgebuild.spec.preprocess import ImageInput
from edgebuild.travels import prepare_image
from tests.data.conftest import HEAD, PREPROCESS, Load

NPZ = '[data]\nuse = "npz"\nfile = "../../d.npz"\n'
X = np.random.default_rng(0).normal(size=(60, 3, 4, 4))
Y = np.array([0] * 20 + [1] * 40)
SPLITS = {"x_train": X[:20], "y_train": Y[10:30], "x_test": X[20:], "y_test": Y[20:]}


def save(folder: Path, **arrays: Any) -> None:
    np.savez_compressed(folder / "d.npz", **arrays)


@pytest.mark.parametrize("block", [2**24, 1000])
def test_one_data_set_is_cut_in_proportion_and_no_value_is_lost(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(npz, "_BYTES", block)
    save(tmp_path, image=X, labels=Y)
    out = load(NPZ)
    splits = [dataset.read(out, name) for name in ("train", "validation", "test")]
    assert [np.bincount(split.labels[0]).tolist() for split in splits] == [[14, 29], [2, 3], [4, 8]]
    rows = np.concatenate([split.inputs[0] for split in splits])
    order = np.lexsort(rows.reshape(60, -1).T)
    assert np.array_equal(rows[order], X.astype(np.float32)[np.lexsort(X.astype(np.float32).reshape(60, -1).T)])
    labels = np.concatenate([split.labels[0] for split in splits])
    of_value = {float(x[0, 0, 0]): y for x, y in zip(X.astype(np.float32), Y, strict=True)}
    assert [of_value[float(x[0, 0, 0])] for x in rows] == labels.tolist()
    assert notes.read(out)[0].startswith("the data has no test or validation split: 60 examples are cut at random")


NAMES = {
    "as Keras has them": SPLITS,
    "split first": {f"{name[2:]}_{'images' if name[0] == 'x' else 'labels'}": a for name, a in SPLITS.items()},
    "by input and head": {f"{'image' if name[0] == 'x' else 'output'}{name[1:]}": a for name, a in SPLITS.items()},
    "labels in a column": SPLITS | {"y_train": Y[10:30, None], "y_test": Y[20:, None].astype(np.uint8)},
}


@pytest.mark.parametrize("names", NAMES)
def test_splits_are_known_by_usual_names(load: Load, tmp_path: Path, names: str) -> None:
    save(tmp_path, **NAMES[names])
    out = load(NPZ)
    assert dataset.examples(out) == {"train": 18, "validation": 2, "test": 40}
    assert dataset.is_cut(out)
    assert np.array_equal(dataset.read(out, "test").inputs[0], X[20:].astype(np.float32))


def test_splits_that_come_along_are_kept_with_what_nobody_labelled(load: Load, tmp_path: Path) -> None:
    save(tmp_path, **SPLITS, x_val=X[:3], y_val=Y[18:21], unlabelled_x=X[:7])
    out = load(NPZ)
    assert dataset.examples(out) == {"train": 20, "validation": 3, "test": 40, "unlabelled": 7}
    assert not dataset.is_cut(out)
    assert notes.read(out) == ["split 'test' has no example of 1 of 2 classes: 'cat'"]


def test_other_names_are_given_in_the_table(load: Load, tmp_path: Path) -> None:
    save(tmp_path, pixels=X, kind=Y)
    assert dataset.examples(load(NPZ + 'inputs = ["pixels"]\nlabels = ["kind"]\ntest = 0.5\n'))["test"] == 30


def test_pictures_of_8_bits_are_prepared_as_the_bundles_program_does(load: Load, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 6, 7, 3), dtype=np.uint8)
    save(tmp_path, x_train=pixels[:20], y_train=Y[10:30], x_test=pixels[20:, :, :, 0], y_test=Y[20:])
    test = dataset.read(load(PREPROCESS + NPZ), "test").inputs[0]
    how = asdict(ImageInput(width=4, height=4, channels=3))
    assert np.array_equal(test[:][5], prepare_image.prepare(pixels[25, :, :, :1], how)[0])


@pytest.mark.parametrize("kind", ["uint8", "int16", "float16", "float64"])
def test_values_stay_on_disk_as_they_came_where_that_is_smaller(load: Load, tmp_path: Path, kind: str) -> None:
    x = (X * 20).clip(0).astype(kind)
    save(tmp_path, x=x, y=Y)
    out = load(NPZ)
    assert np.load(out / "train.0.npy").dtype == (np.float32 if kind == "float64" else kind)
    (values,) = dataset.read(out, "train").inputs
    assert values[:].dtype == values.dtype == np.float32
    assert np.isin(values[:].ravel(), x.astype(np.float32).ravel()).all()


@pytest.mark.parametrize("whole", [True, False])
def test_an_array_names_the_slices_of_the_test_split(load: Load, tmp_path: Path, whole: bool) -> None:
    places = np.array(["home", "", "street"])[np.arange(60) % 3]
    if whole:
        x = np.zeros((60, 3, 4, 4))
        x[:, 0, 0, 0] = np.arange(60)
        save(tmp_path, x=x, y=Y, slice=places)
    else:
        save(tmp_path, **SPLITS, slice_test=places[20:])
    out = load(NPZ)
    slices = dataset.slices(out)
    assert [*slices] == ["home", "street"]
    if whole:
        numbers = np.asarray(dataset.read(out, "test").inputs[0])[:, 0, 0, 0]
        assert (numbers[slices["street"]] % 3 == 2).all()
        assert slices["street"].sum() == (numbers % 3 == 2).sum() > 0
    else:
        assert slices["home"].tolist() == [place == "home" for place in places[20:]]


def test_pictures_in_one_split_and_values_in_another_are_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    save(tmp_path, **SPLITS | {"x_test": np.zeros((40, 5, 5, 3), np.uint8)})
    told = "split 'test' and split 'train' are not alike: one has 8-bit pictures, the other values"
    assert refused(PREPROCESS + NPZ) == KEY + told


def test_two_inputs_are_found_by_their_names(load: Load, tmp_path: Path) -> None:
    save(tmp_path, image=X, words=np.arange(120).reshape(60, 2), y=Y)
    out = load(NPZ, HEAD + '[[inputs]]\nname = "words"\nshape = [2]\ndtype = "int64"\n')
    assert [values.dtype for values in dataset.read(out, "train").inputs] == [np.float32, np.int64]


GROUPS = np.array([f"p{row % 6}" for row in range(60)])


@pytest.mark.parametrize("whole", [True, False])
def test_examples_of_one_group_are_in_one_split(load: Load, tmp_path: Path, whole: bool) -> None:
    if whole:
        save(tmp_path, x=X, y=Y, who=GROUPS)
    else:
        save(tmp_path, **SPLITS, who_train=GROUPS[:20], who_test=np.arange(40))
    out = load(NPZ + 'group = "who"\n')
    own = [{*dataset.groups(out, split).tolist()} for split in ("train", "validation", "test")]  # type: ignore[union-attr]
    assert sum(map(len, own)) == len(set().union(*own)) == (6 if whole else 46)
    assert dataset.examples(out)["validation"] == (10 if whole else 3)


def test_what_nothing_asks_for_may_be_anything(load: Load, tmp_path: Path) -> None:
    save(tmp_path, x=X, y=Y, files=np.array(["a.png", None]), turned=np.asfortranarray(X))
    assert sum(dataset.examples(load(NPZ)).values()) == 60


KEY = "models/m/model.toml: data.file: "
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no input": (
        {"a": X, "y": Y},
        "'../../d.npz' has no array for input 'image' (looked for image, x, X, images, data",
    ),
    "no labels": (
        {"x": X, "kinds": Y},
        "'../../d.npz' has no array for the labels of 'output' (looked for output, y",
    ),
    "no labels of a split": (
        {"x_train": X, "y": Y},
        "'../../d.npz' has no array for the labels of 'output' (",
    ),
    "no training": ({"x_test": X, "y_test": Y}, "'../../d.npz' has a split 'test' and none 'train'"),
    "objects": ({"x": X, "y": Y.astype(object)}, "array 'y' of '../../d.npz' holds Python objects, which may be code"),
    "by columns": (
        {"x": np.asfortranarray(X), "y": Y},
        "array 'x' of '../../d.npz' is stored by columns (",
    ),
    "another shape": (
        {"x": X[:, 0], "y": Y},
        "split 'train' input 'image' has shape [43, 4, 4]; declared and labelled",
    ),
    "fewer labels": (
        {"x": X, "y": Y[:9]},
        "split 'train' input 'image' has shape [60, 3, 4, 4]; declared and labelled a",
    ),
    "NaN": (
        SPLITS | {"x_test": np.where(X[20:] > 2, np.nan, X[20:])},
        "split 'test' input 'image' has NaN, infin",
    ),
    "another label": ({"x": X, "y": Y + 1}, "split 'train' has labels from 1 to 2; the model decla"),
    "a word": (
        {"x": X, "y": np.where(Y, "dog", "bat")},
        "row 0 of array 'y' of '../../d.npz' is 'bat', which is no class (did you mean 'cat'",
    ),
    "one example": ({"x": X[:1], "y": Y[:1]}, "'../../d.npz' has 1 example, and 3 are needed: one to lear"),
}


def test_groups_that_are_not_those_of_the_examples_are_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    save(tmp_path, x=X, y=Y, who=GROUPS[:50])
    told = "'../../d.npz' has groups [50] for 60 examples"
    assert refused(NPZ + 'group = "who"\n') == KEY.replace("file", "group") + told
    assert "has no array for groups (looked for people); it has x, y, who" in refused(NPZ + 'group = "people"\n')
    save(tmp_path, **SPLITS, who_train=GROUPS[:20], who_test=GROUPS[20:])
    assert "the group 'p0' is in split 'train' and in 'test'" in refused(NPZ + 'group = "who"\n')


@pytest.mark.parametrize("kind", WRONG)
def test_arrays_that_do_not_fit_are_refused(refused: Callable[..., str], tmp_path: Path, kind: str) -> None:
    arrays, told = WRONG[kind]
    save(tmp_path, **arrays)
    assert refused(NPZ).startswith(KEY + told)


def test_a_file_that_is_none_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "d.npz").write_bytes(b"PK, perhaps")
    assert refused(NPZ) == f"{KEY}'../../d.npz' is no .npz of named arrays: File is not a zip file"
    np.save(tmp_path / "d.npy", X)
    (tmp_path / "d.npy").rename(tmp_path / "d.npz")
    assert refused(NPZ).startswith(f"{KEY}'../../d.npz' is no .npz of named arrays: ")


def test_a_damaged_array_is_named(refused: Callable[..., str], tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    data = bytearray((tmp_path / "d.npz").read_bytes())
    data[5000] ^= 255
    (tmp_path / "d.npz").write_bytes(data)
    assert refused(NPZ).startswith(f"{KEY}array 'x' cannot be read: Bad CRC-32")


def test_options_are_checked(refused: Callable[..., str], tmp_path: Path) -> None:
    save(tmp_path, x=X, y=Y)
    assert refused(NPZ + "tests = 1\n").startswith(
        "models/m/model.toml: data: unknown key 'tests' (did you mean 'test'"
    )
    assert refused(NPZ + 'inputs = ["x", "y"]\n') == (
        "models/m/model.toml: data.inputs: names 2 arrays, and the model has 1 inputs"
    )
    assert refused('[data]\nuse = "zarr"\n').startswith("models/m/model.toml: data.use: unknown kind of data 'zarr' (")
    assert refused("[data]\n") == (
        "models/m/model.toml: data must be a function of model.py by name, or a table whose `use` says its kind"
    )


def test_a_wrong_value_is_named_by_its_row_in_the_file(refused: Callable[..., str], tmp_path: Path) -> None:
    wrong = X.copy()
    wrong[7, 1, 2, 3] = np.nan
    save(tmp_path, x=wrong, y=Y)
    assert refused(NPZ).endswith("has NaN, infinite or too large values for float32, first in row 7 of array 'x'")
