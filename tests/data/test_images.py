"""Folders of pictures by class: prepared as the bundle's own program would, cut in proportion, refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgebuild.spec import dataset, notes
from edgebuild.spec.preprocess import ImageInput
from edgebuild.travels import prepare_image
from tests.data.conftest import HEAD, PREPROCESS, Load

IMAGES = '[data]\nuse = "images"\nfolder = "../../pictures"\n'


def pictures(folder: Path, count: int, shade: int = 0, ending: str = "png") -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.full((6, 5 + number % 3, 3), shade + number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.{ending}")


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """20 dark cats and 40 light dogs, with a file that is no picture."""
    pictures(tmp_path / "pictures" / "cat", 20)
    pictures(tmp_path / "pictures" / "dog", 40, 100, "bmp")
    (tmp_path / "pictures" / "dog" / "readme.txt").write_text("dogs")
    return tmp_path / "pictures"


def test_splits_are_cut_in_proportion_and_told(load: Load, animals: Path) -> None:
    out = load(PREPROCESS + IMAGES)
    labels = {name: np.bincount(dataset.read(out, name).labels[0]).tolist() for name in ("train", "validation", "test")}
    assert labels == {"train": [14, 29], "validation": [2, 3], "test": [4, 8]}
    told = (
        "the data has no test or validation split: 60 examples are cut at random into 43 train, 5 validation, 12 test"
    )
    assert notes.read(out)[-1] == told
    assert dataset.is_cut(out)


def test_another_seed_and_share_cut_otherwise(load: Load, animals: Path) -> None:
    first, other = (load(PREPROCESS + IMAGES + more) for more in ("", "seed = 1\ntest = 0.5\n"))
    assert dataset.examples(other)["test"] == 30
    assert dataset.read(first, "test").inputs[0][:].shape != dataset.read(other, "test").inputs[0][:].shape


def test_a_picture_becomes_what_the_bundles_program_makes_of_it(load: Load, tmp_path: Path) -> None:
    """Also resized, cropped, of another layout and turned as EXIF says."""
    rng = np.random.default_rng(0)
    for split, name in (("train", "cat"), ("val", "dog"), ("test", "dog")):
        (tmp_path / "pictures" / split / name).mkdir(parents=True)
        for number in range(2):
            picture = Image.fromarray(rng.integers(0, 256, (9, 14, 3), dtype=np.uint8))
            exif = Image.Exif()
            exif[0x0112] = 6  # turned
            picture.save(tmp_path / "pictures" / split / name / f"{number}.png", exif=exif)
    how = 'crop = 0.9\nlayout = "nhwc"\nmean = [0.4, 0.5, 0.6]\nstd = [0.2]\n'
    out = load(PREPROCESS + how + IMAGES, HEAD.replace("[3, 4, 4]", "[4, 4, 3]"))
    expected = ImageInput(width=4, height=4, channels=3, mean=(0.4, 0.5, 0.6), std=(0.2,), crop=0.9, layout="nhwc")
    for split, name in (("train", "cat"), ("validation", "dog"), ("test", "dog")):
        path = tmp_path / "pictures" / {"validation": "val"}.get(split, split) / name / "1.png"
        (values,), (labels,) = dataset.read(out, split).inputs, dataset.read(out, split).labels
        assert np.array_equal(
            values[:][1], prepare_image.prepare(prepare_image.read_picture(path), asdict(expected))[0]
        )
        assert labels.tolist() == [["cat", "dog"].index(name)] * 2
        kept = np.load(out / f"{split}.0.npy")
        assert (kept.dtype, kept.shape) == (np.uint8, (2, 4, 4, 3))  # a set costs its pixels, not four times as much
    assert [note for note in notes.read(out) if "no example of" not in note] == []
    assert not dataset.is_cut(out)
    assert json.loads((out / "data.json").read_text())["examples"] == {"train": 2, "validation": 2, "test": 2}


def test_a_validation_split_that_comes_along_is_kept_and_the_judges_share_is_cut(load: Load, tmp_path: Path) -> None:
    for split, count in (("train", 10), ("valid", 3)):
        for name in ("cat", "dog"):
            pictures(tmp_path / "pictures" / split / name, count)
    pictures(tmp_path / "pictures" / "unlabelled", 4)
    out = load(PREPROCESS + IMAGES)
    assert dataset.examples(out) == {"train": 16, "validation": 6, "test": 4, "unlabelled": 4}
    assert not dataset.is_cut(out)


def test_folders_may_be_the_numbers_of_classes(load: Load, tmp_path: Path) -> None:
    for name in ("0", "1"):
        pictures(tmp_path / "pictures" / name, 10)
    assert np.bincount(dataset.read(load(PREPROCESS + IMAGES), "train").labels[0]).tolist() == [7, 7]


def test_another_order_of_labels_is_other_data(load: Load, animals: Path) -> None:
    other = load(PREPROCESS + IMAGES, HEAD.replace('["cat", "dog"]', '["dog", "cat"]'))
    assert np.bincount(dataset.read(other, "test").labels[0]).tolist() == [8, 4]


def test_no_preprocessing_is_told(refused: Callable[..., str], animals: Path) -> None:
    told = "models/m/model.toml: preprocess: is missing: it says how a picture becomes the model's input"
    assert refused(IMAGES) == told


KEY = "models/m/model.toml: data.folder: "


def test_a_folder_that_is_no_class_is_refused(refused: Callable[..., str], animals: Path) -> None:
    pictures(animals / "cow", 1)
    told = "folder '../../pictures/cow' is none of the model's labels (known: cat, dog)"
    assert refused(PREPROCESS + IMAGES) == KEY + told


def test_a_file_that_is_no_picture_is_named(refused: Callable[..., str], animals: Path) -> None:
    (animals / "dog" / "007.bmp").write_bytes(b"BM broken")
    line = refused(PREPROCESS + IMAGES)
    assert line.startswith(f"{KEY}'../../pictures/dog/007.bmp' is no picture that can be read: ")


def test_folders_without_pictures_or_classes_are_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "x.txt").write_text("")
    assert refused(PREPROCESS + IMAGES) == f"{KEY}'../../pictures' has no folders, and one for each class is needed"
    (tmp_path / "pictures" / "cat").mkdir()
    assert refused(PREPROCESS + IMAGES).startswith(f"{KEY}'../../pictures' has no pictures (.png, ")
    (tmp_path / "pictures" / "test").mkdir()
    assert refused(PREPROCESS + IMAGES) == f"{KEY}'../../pictures' has a folder 'test' and none 'train'"


def test_a_model_that_chooses_no_class_is_refused(refused: Callable[..., str], animals: Path) -> None:
    head = HEAD.replace('labels = ["cat", "dog"]', 'outputs = 2\ntask = "regression"')
    assert refused(PREPROCESS + IMAGES, head).startswith(
        f"{KEY}has a folder for each class, which is for a model whose"
    )


def test_what_is_left_out_or_missing_is_told(load: Load, refused: Callable[..., str], animals: Path) -> None:
    assert (
        notes.read(load(PREPROCESS + IMAGES))[0]
        == "1 file is left out of '../../pictures', no picture by its name (.txt)"
    )
    for path in (animals / "cat").iterdir():
        path.unlink()
    told = [f"split {split!r} has no example of 1 of 2 classes: 'cat'" for split in ("train", "test")]
    assert [note for note in notes.read(load(PREPROCESS + IMAGES)) if "no example" in note] == told
    (animals / "cat" / "1.png").symlink_to(animals / "gone.png")
    line = "'../../pictures/cat/1.png' is no picture that can be read: [Errno 2] No such file or directory: '1.png'"
    assert refused(PREPROCESS + IMAGES) == f"models/m/model.toml: data.folder: {line}"
