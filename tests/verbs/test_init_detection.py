"""Annotated pictures make a detector without any Python: its decoder and its pixels are those that find most boxes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_model
from edgebuild.spec.project import open_project
from edgebuild.verbs import inspect
from edgebuild.verbs.drafting import draft
from edgebuild.verbs.drafting.interview import Interview, Wishes

CELLS = [(x, y) for y in range(0, 8, 2) for x in range(0, 8, 2)]  # corners of the squares of pictures of 8 × 8
PAINTED = [CELLS[place] for place in (0, 3, 9, 14)]  # one in each picture
COLOURS = {"red": (250, 0, 0), "blue": (0, 0, 250)}


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """Boxes [16, 4 + 1 + 2] in pixels around squares, scored by their red and blue, channels as OpenCV has them."""
    import onnx
    from onnx import helper, numpy_helper

    rows = np.array([[(x + 1, y + 1, 2, 2) for x, y in CELLS]], np.float32)
    constants = {
        "boxes": rows,
        "sure": np.ones((1, 16, 1), np.float32),
        "shape": np.array([1, 3, 16]),
        "channels": np.array([2, 0]),
    }
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Reshape", ["p", "shape"], ["q"]),
        helper.make_node("Transpose", ["q"], ["r"], perm=[0, 2, 1]),
        helper.make_node("Gather", ["r", "channels"], ["s"], axis=2),
        helper.make_node("Concat", ["boxes", "sure", "s"], ["y"], axis=2),
    ]
    ports = [helper.make_tensor_value_info("x", 1, [1, 3, 8, 8]), helper.make_tensor_value_info("y", 1, [1, 16, 7])]
    known = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], known)
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def picture(path: Path, cell: tuple[int, int], colour: str) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[cell[1] : cell[1] + 2, cell[0] : cell[0] + 2] = COLOURS[colour]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def coco(top: Path) -> Path:
    """As COCO is published: annotations/instances_SPLIT.json beside a folder of each split."""
    (top / "annotations").mkdir(parents=True)
    categories = [{"id": 3, "name": "red"}, {"id": 8, "name": "blue"}]
    for split in ("train2017", "val2017"):
        images, rows = [], []
        for number, cell in enumerate(PAINTED):
            colour = list(COLOURS)[number % 2]
            picture(top / split / f"{number}.png", cell, colour)
            images.append({"id": number, "file_name": f"{number}.png", "width": 8, "height": 8})
            rows.append({"image_id": number, "category_id": {"red": 3, "blue": 8}[colour], "bbox": [*cell, 2, 2]})
        content = {"images": images, "annotations": rows, "categories": categories}
        (top / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    (top / "notes.json").write_text("[]")
    return top


def yolo(top: Path, *, turned: bool = False) -> Path:
    """With a data.yaml; `turned` as train/images and train/labels."""
    for number, cell in enumerate(PAINTED):
        folders = ("train/images", "train/labels") if turned else ("images", "labels")
        picture(top / folders[0] / f"{number}.png", cell, list(COLOURS)[number % 2])
        (top / folders[1]).mkdir(exist_ok=True)
        row = f"{number % 2} {(cell[0] + 1) / 8} {(cell[1] + 1) / 8} 0.25 0.25\n"
        (top / folders[1] / f"{number}.txt").write_text(row)
    (top / "data.yaml").write_text("names:\n  0: red\n  1: blue\n")
    return top


def drafted(file: Path, data: Path, **wishes: Any) -> tuple[dict[str, Any], list[str]]:
    wished = Wishes(data=data, **wishes)
    interview = Interview(open_project(file.parent), file, "m", inspect.run(file), wished, None)
    text = draft.text(interview)
    folder = file.parent / "models" / "m"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(text)
    read_model(folder, "models/m/model.toml")  # it holds
    return tomllib.loads(text), interview.guesses


@pytest.mark.parametrize("kind", ["coco", "yolo", "yolo turned"])
def test_a_folder_of_boxes_makes_labels_a_decoder_and_a_preprocessing(net: Path, tmp_path: Path, kind: str) -> None:
    data = coco(tmp_path / "d") if kind == "coco" else yolo(tmp_path / "d", turned="turned" in kind)
    declared, guesses = drafted(net, data)
    assert (declared["task"], declared["labels"]) == ("detection", ["red", "blue"])
    assert declared["outputs"] == [{"name": "y", "shape": [16, 7]}]
    assert declared["decoder"] == {"kind": "yolo", "size": [8.0, 8.0]}
    assert declared["preprocess"] == {
        **{"width": 8, "height": 8, "channels": 3, "order": "bgr"},
        **{"mean": [0.0], "std": [1.0]},
    }
    files = {"train": "instances_train2017", "validation": "instances_val2017"} if kind == "coco" else {}
    own = {split: f"../../d/annotations/{name}.json" for split, name in files.items()}
    assert declared["data"] == {"use": kind[:4], "folder": "../../d", **own, "test": 0.5}
    few = len(PAINTED) - (1 if kind == "coco" else 2)  # those that are cut for the other splits
    assert f"boxes are read as 'yolo' has them, with which {few} of {few} boxes in {few} pictures are found" in guesses


@pytest.mark.parametrize("names", ["[red, 'blue']", "\n  - red\n  - blue", "\n  0: red\n  1: blue"])
def test_classes_are_those_of_a_file_beside_the_folders(net: Path, tmp_path: Path, names: str) -> None:
    data = yolo(tmp_path / "d")
    (data / "data.yaml").write_text(f"nc: 2\ntrain: images\nnames: {names}\n")
    assert drafted(net, data)[0]["labels"] == ["red", "blue"]
    (data / "data.yaml").unlink()
    assert drafted(net, data)[0]["labels"] == ["0", "1"]
    assert drafted(net, data, labels="r,b")[0]["labels"] == ["r", "b"]


def test_pixels_go_in_as_flags_say(net: Path, tmp_path: Path) -> None:
    declared, _ = drafted(net, yolo(tmp_path / "d"), mean=(0.5,), std=(0.5,))
    assert (declared["preprocess"]["mean"], declared["preprocess"]["std"]) == ([0.5], [0.5])
    with pytest.raises(UsageError, match="--crop: would cut boxes: pictures are stretched"):
        drafted(net, tmp_path / "d", crop=0.9)


def test_outputs_that_no_decoder_reads_are_refused_with_what_would_be(net: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        drafted(net, yolo(tmp_path / "d"), labels="a,b,c,d,e")
    told = "answers [16, 7], which no decoder reads for 5 classes (known: fastestdet, yolo, ssd, detected; or --labels)"
    assert caught.value.line == f"{net}: --data: {told}"
