"""Inputs that nobody labelled, and noise: the judge holds answers against the original's, and never says accuracy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgebuild.spec import dataset, notes
from tests.data.conftest import PREPROCESS, Load

HEAD = """\
description = "x"
task = "agreement"
outputs = 4
source = {use = "onnx", file = "x.onnx"}
[[inputs]]
name = "image"
shape = [3, 4, 4]
"""
NOISE = '[data]\nuse = "noise"\n'
INPUTS = '[data]\nuse = "inputs"\nfile = "../../d.npz"\n'
WORDS = '[[inputs]]\nname = "words"\nshape = [5]\ndtype = "int64"\n'


def test_noise_is_said_loudly_and_has_no_labels(load: Load) -> None:
    out = load(NOISE + "examples = 100\nnumbers = 7\n", HEAD + WORDS)
    assert dataset.examples(out) == {"train": 30, "validation": 3, "test": 67}
    assert dataset.without_labels(out) == "NOISE"
    assert notes.read(out)[0].startswith("THERE IS NO DATA: ranges come from noise")
    test = dataset.read(out, "test")
    image, words = map(np.asarray, test.inputs)
    assert (abs(image.mean()) < 0.1, abs(image.std() - 1) < 0.1) == (True, True)
    assert np.unique(words).tolist() == [*range(7)]
    assert np.isnan(test.labels[0]).all()


def test_noise_in_the_place_of_a_mask_hides_no_example_whole(load: Load) -> None:
    out = load(NOISE + "examples = 100\n", HEAD + WORDS + WORDS.replace("words", "attention_mask"))
    mask = np.asarray(dataset.read(out, "test").inputs[2])
    assert mask[:, 0].min() == 1
    assert (np.diff(mask, axis=1) <= 0).all()
    assert {*mask.sum(1)} == {1, 2, 3, 4, 5}


def test_noise_in_the_place_of_pictures_is_pixels(load: Load) -> None:
    out = load(PREPROCESS + NOISE, HEAD)
    assert np.load(out / "test.0.npy").dtype == np.uint8
    assert 0 <= np.asarray(dataset.read(out, "test").inputs[0]).min() < 0.1


def test_inputs_are_those_of_the_file(load: Load, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3, 4, 4)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x)
    out = load(INPUTS, HEAD)
    splits = [np.asarray(dataset.read(out, name).inputs[0]) for name in ("train", "validation", "test")]
    assert [len(split) for split in splits] == [18, 2, 20]
    rows = np.concatenate(splits)
    assert sorted(map(float, rows[:, 0, 0, 0])) == sorted(map(float, x[:, 0, 0, 0]))
    assert dataset.without_labels(out) == "inputs of d.npz"


def test_a_model_that_is_judged_by_labels_is_refused(refused: Callable[..., str]) -> None:
    told = "has no labels, and task 'regression' of 'output' is judged by them (task = \"agreement\")"
    assert refused(NOISE, HEAD.replace("agreement", "regression")) == f"models/m/model.toml: data.use: {told}"


def test_a_file_without_an_input_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", y=np.zeros((9, 2)))
    assert refused(INPUTS, HEAD).startswith(
        "models/m/model.toml: data.file: '../../d.npz' has no array for input 'image'"
    )


def test_pictures_without_labels_need_no_folders_of_classes(load: Load, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "more").mkdir(parents=True)
    for number in range(10):
        place = tmp_path / "pictures" / ("more" if number % 2 else ".")
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(place / f"{number}.png")
    lines = PREPROCESS + '[data]\nuse = "images"\nfolder = "../../pictures"\ntest = 0.5\n'
    out = load(lines, HEAD)
    assert dataset.examples(out) == {"train": 4, "validation": 1, "test": 5}
    assert dataset.without_labels(out) == "pictures of pictures"
    values = [np.asarray(dataset.read(out, split).inputs[0]) for split in ("train", "validation", "test")]
    assert sorted(np.concatenate(values)[:, 0, 0, 0] * 255) == pytest.approx(range(10))
    assert notes.read(out)[0].startswith("there are no labels: answers are held against the original's on pictures")


def test_two_pictures_without_labels_are_too_few(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for number in range(2):
        Image.new("RGB", (4, 4)).save(tmp_path / "pictures" / f"{number}.png")
    told = refused(PREPROCESS + '[data]\nuse = "images"\nfolder = "../../pictures"\n', HEAD)
    assert "'../../pictures' has 2 pictures" in told
    assert told.endswith("and 3 are needed to choose and to judge by")
