"""Pictures with boxes, as COCO and YOLO have them: the same set read both ways is the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import PREPROCESS, Load

HEAD = """\
description = "x"
source = {use = "onnx", file = "x.onnx"}
outputs = 2
task = "regression"
[[inputs]]
name = "image"
shape = [3, 4, 4]
"""
COCO = '[data]\nuse = "coco"\nfolder = "../../d/images"\ntrain = "../../d/train.json"\nheld_out = "../../d/test.json"\n'
YOLO = '[data]\nuse = "yolo"\nfolder = "../../d"\n'
BOXES = [[(0, 10, 20, 30, 40), (1, 0, 0, 100, 50)], [], [(1, 50, 25, 25, 25)]]  # class, x, y, width, height of 100 × 50


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Three pictures of 100 × 50 in each of two splits, described both ways."""
    top = tmp_path / "d"
    for split in ("train", "test"):
        pictures, annotations = [], []
        for kind in ("images", "labels"):
            (top / kind / split).mkdir(parents=True)
        for number, rows in enumerate(BOXES):
            Image.fromarray(np.full((50, 100, 3), 20 * number, np.uint8)).save(top / "images" / split / f"{number}.png")
            pictures.append({"id": number, "file_name": f"{split}/{number}.png", "width": 100, "height": 50})
            annotations += [{"image_id": number, "category_id": 7 + 2 * row[0], "bbox": row[1:]} for row in rows]
            lines = [f"{k} {(x + w / 2) / 100} {(y + h / 2) / 50} {w / 100} {h / 50}" for k, x, y, w, h in rows]
            if lines:
                (top / "labels" / split / f"{number}.txt").write_text("\n".join(lines) + "\n")
        annotations.append({"image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9], "iscrowd": 1})
        kinds = [{"id": 9, "name": "dog"}, {"id": 7, "name": "cat"}]
        content = {"images": pictures, "annotations": annotations, "categories": kinds}
        (top / f"{split}.json").write_text(json.dumps(content))
    return top


def boxes(lines: str, tmp_path: Path, load: Load) -> tuple[np.ndarray, np.ndarray]:
    """Labels and pixels of the test split, as the kind of data gives them."""
    from edgebuild.plan.weights import data_of, loader
    from edgebuild.spec.data import DataRequest
    from edgebuild.spec.files import read_model
    from edgebuild.spec.reads import Memo

    folder = tmp_path / "models" / "m"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(HEAD + PREPROCESS + lines)
    model = read_model(folder, "models/m/model.toml")
    data, step = data_of(model), loader(model)
    reads = tuple(read for name in data.reads().values() if (read := Memo().read(folder, name)))
    split = data.load(DataRequest(step.signature, step.heads, "models/m", reads, step.preprocess)).splits["test"]
    return split[1], np.concatenate([*split[0].blocks()])


@pytest.mark.parametrize("lines", [COCO, YOLO], ids=["coco", "yolo"])
def test_boxes_are_shares_of_the_picture(drawn: Path, tmp_path: Path, load: Load, lines: str) -> None:
    labels, pixels = boxes(lines, tmp_path, load)
    empty = [-1, 0, 0, 0, 0]
    expected = [[[0, 0.1, 0.4, 0.4, 1], [1, 0, 0, 1, 1]], [empty, empty], [[1, 0.5, 0.5, 0.75, 1], empty]]
    assert labels == pytest.approx(np.array(expected))
    assert pixels[:, 0, 0, 0].tolist() == [0, 20, 40]
    assert pixels.shape == (3, 4, 4, 3)


def test_splits_in_folders_of_their_own_are_read_as_well(drawn: Path, tmp_path: Path, load: Load) -> None:
    """COCO's train2017 beside annotations, and train/images with train/labels, as sets are published too."""
    expected = boxes(YOLO, tmp_path, load)
    (drawn / "annotations").mkdir()
    for split in ("train", "test"):
        (drawn / split).mkdir()
        for kind in ("images", "labels"):
            (drawn / kind / split).rename(drawn / split / kind)
        content = json.loads((drawn / f"{split}.json").read_text().replace(f"{split}/", ""))
        (drawn / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
        (drawn / f"{split}.json").unlink()
    for kind in ("images", "labels"):
        (drawn / kind).rmdir()
    for own, others in zip(boxes(YOLO, tmp_path, load), expected, strict=True):
        assert np.array_equal(own, others)
    for split in ("train", "test"):
        for file in (drawn / split / "images").iterdir():
            file.rename(drawn / split / file.name)
    lines = COCO.replace("/d/images", "/d").replace("/d/t", "/d/annotations/instances_t")
    for own, others in zip(boxes(lines, tmp_path, load), expected, strict=True):
        assert np.array_equal(own, others)


WRONG = {
    "a crop": (YOLO, PREPROCESS + "crop = 0.9\n", "preprocess.crop: would cut boxes; leave it out, and pictures are"),
    "no preprocessing": (YOLO, "", "preprocess: is missing: it says how a picture becomes the model's input"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_boxes_cannot_follow_is_refused(drawn: Path, refused: Callable[..., str], kind: str) -> None:
    lines, how, told = WRONG[kind]
    assert refused(how + lines, HEAD).startswith(f"models/m/model.toml: {told}")


def test_what_is_no_annotation_is_named(drawn: Path, refused: Callable[..., str]) -> None:
    (drawn / "labels" / "test" / "2.txt").write_text("0 0.5 0.5 0.1\n")
    told = "data.folder: '2.txt' line 1 is no box: '0 0.5 0.5 0.1' (class x y width height)"
    assert refused(PREPROCESS + YOLO, HEAD) == f"models/m/model.toml: {told}"
    (drawn / "test.json").write_text('{"images": []}')
    line = refused(PREPROCESS + COCO, HEAD)
    assert (
        line
        == "models/m/model.toml: data.held_out: 'test.json' is no file of COCO's annotations: KeyError 'categories'"
    )
    content = json.loads((drawn / "train.json").read_text())
    content["images"][0]["file_name"] = "../../secret.png"
    (drawn / "train.json").write_text(json.dumps(content))
    line = refused(PREPROCESS + COCO, HEAD)
    assert line == "models/m/model.toml: data.train: 'train.json' names '../../secret.png', which is not in the folder"
