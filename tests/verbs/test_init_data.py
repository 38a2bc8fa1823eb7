"""`init --data` tells each kind of data by what lies there, and what it drafts is loaded as it was meant."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgebuild.plan.weights import data_of, loader
from edgebuild.spec import dataset
from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_model
from edgebuild.spec.project import open_project
from edgebuild.spec.reads import Memo
from edgebuild.verbs import inspect
from edgebuild.verbs.drafting import draft
from edgebuild.verbs.drafting.interview import Interview, Wishes
from tests import tiny
from tests.data.test_arrow import parquet, saved
from tests.data.test_audio import record

Drafted = tuple[dict[str, Any], list[str], Path]
pytest.importorskip("pyarrow", reason="pyarrow is an extra")


def net(path: Path, taken: list[int], answered: list[int]) -> Path:
    """An ONNX file that answers the mean of what it takes, as often as is asked."""
    import onnx
    from onnx import helper

    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], keepdims=0),
        helper.make_node("Expand", ["m", "shape"], ["y"]),
    ]
    shape = onnx.numpy_helper.from_array(np.array([1, *answered]), "shape")
    ports = [helper.make_tensor_value_info(name, 1, [1, *size]) for name, size in (("x", taken), ("y", answered))]
    graph = helper.make_graph(nodes, "g", [ports[0]], [ports[1]], [shape])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture
def drafted(tmp_path: Path) -> Callable[..., Drafted]:
    """What is declared for this data, what was guessed, and the data as it is then loaded."""

    def make(data: Path, taken: list[int], answered: list[int], **wishes: Any) -> Drafted:
        file = net(tmp_path / "net.onnx", taken, answered)
        interview = Interview(open_project(tmp_path), file, "m", inspect.run(file), Wishes(data=data, **wishes), None)
        text = draft.text(interview)
        folder = tmp_path / "models" / "m"
        folder.mkdir(parents=True)
        (folder / "model.toml").write_text(text)
        model = read_model(folder, "models/m/model.toml")
        reads = [Memo().read(folder, name) for name in data_of(model).reads().values()]
        out = tiny.perform(loader(model, tuple(read for read in reads if read)), tmp_path / "out", {})
        return tomllib.loads(text), interview.guesses, out

    return make


def table(count: int) -> dict[str, Any]:
    rows = np.arange(count)
    return {
        "id": rows,
        "weight": rows / 2,
        "colour": ["red" if k % 2 else "green" for k in rows],
        "person": [f"p{k % 5}" for k in rows],
        "kind": ["dog" if k % 3 else "cat" for k in rows],
    }


def csv(path: Path, columns: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("\n".join(",".join(map(str, line)) for line in lines) + "\n")


@pytest.mark.parametrize("kind", ["table", "parquet", "datasets"])
def test_columns_are_told_by_their_names(drafted: Callable[..., Drafted], tmp_path: Path, kind: str) -> None:
    place = tmp_path / {"table": "rows.csv", "parquet": "rows.parquet", "datasets": "saved"}[kind]
    {"table": csv, "parquet": parquet, "datasets": saved}[kind](place, table(40))
    declared, guesses, out = drafted(place, [2], [2])
    assert declared["data"] == {
        "use": kind,
        "folder" if kind == "datasets" else "file": f"../../{place.name}",
        "label": "kind",
        "group": "person",
        "categories": {"colour": ["green", "red"]},
        "columns": {"x": ["weight", "colour"]},
        "test": 0.5,
    }
    assert declared["labels"] == ["cat", "dog"]
    assert "column 'id' is left out" in guesses
    test = dataset.read(out, "test")
    assert test.labels[0].tolist() == [int(2 * weight % 3 > 0) for weight, _ in np.asarray(test.inputs[0])]


def test_pictures_in_cells_are_prepared(drafted: Callable[..., Drafted], tmp_path: Path) -> None:
    from tests.data.test_arrow import png

    saved(tmp_path / "saved", {"image": [png(k) for k in range(20)], "label": [k % 2 for k in range(20)]})
    declared, _, out = drafted(tmp_path / "saved", [3, 6, 6], [2])
    assert declared["data"]["picture"] == "image"
    assert (declared["preprocess"]["width"], declared["labels"]) == (6, ["0", "1"])
    assert dataset.read(out, "test").inputs[0].shape[1:] == (3, 6, 6)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_recordings_are_windows_where_an_axis_is_theirs(
    drafted: Callable[..., Drafted], tmp_path: Path, kind: str
) -> None:
    for k in range(6):
        rows = np.arange(30) + 100 * k
        columns = {"time": rows, "a": rows, "b": 2 * rows, "c": 3 * rows, "subject": [f"p{k}"] * 30}
        path = tmp_path / "set" / ("run" if k % 2 else "walk") / f"{k}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        {"csv": csv, "parquet": parquet, "npz": lambda path, own: np.savez(path, **own)}[kind](path, columns)
    declared, _, out = drafted(tmp_path / "set", [3, 1, 8], [2])
    assert declared["data"] == {"use": "windows", "files": "../../set", "stride": 2, "group": "subject", "test": 0.5}
    how = {"kind": "window", "signals": ["a", "b", "c"], "length": 8, "shape": [3, 1, 8]}
    assert declared["preprocess"] == how
    assert declared["labels"] == ["run", "walk"]
    test = dataset.read(out, "test")
    values = np.asarray(test.inputs[0])
    assert np.array_equal(values[:, 2, 0], 3 * values[:, 0, 0])
    assert test.labels[0].tolist() == [int(start // 100 % 2 == 0) for start in values[:, 0, 0, 0]]


def test_recordings_of_sound_are_mel_bands(drafted: Callable[..., Drafted], tmp_path: Path) -> None:
    for k in range(8):
        (tmp_path / "words" / ("no" if k % 2 else "yes")).mkdir(parents=True, exist_ok=True)
        record(tmp_path / "words" / ("no" if k % 2 else "yes") / f"{k}.wav", np.arange(8000) % 50 * 100, 8000)
    declared, guesses, out = drafted(tmp_path / "words", [1, 40, 98], [2])
    how = declared["preprocess"]
    assert (how["rate"], how["bands"], how["frames_first"], how["seconds"]) == (8000, 40, False, 0.995)
    assert guesses[0].startswith("recordings go in as 98 frames of 40 mel bands")
    assert dataset.read(out, "test").inputs[0].shape[1:] == (1, 40, 98)


def test_an_array_of_names_names_the_classes_whatever_it_is_called(
    drafted: Callable[..., Drafted], tmp_path: Path
) -> None:
    """Also where labels usually have that name."""
    x, y = np.zeros((40, 2), np.float32), np.arange(40) % 2
    np.savez(tmp_path / "d.npz", x=x, target=y, labels=np.array(["off", "on"]))
    declared, guesses, out = drafted(tmp_path / "d.npz", [2], [2])
    assert (declared["labels"], declared["data"]["labels"]) == (["off", "on"], ["target"])
    assert "classes are those of the array 'labels', as most training code has them" in guesses
    assert dataset.read(out, "test").labels[0].sum() == 10


def test_names_that_are_not_as_many_as_classes_are_left_out(drafted: Callable[..., Drafted], tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((40, 2)), y=np.arange(40) % 2, names=np.array(["a", "b", "c"]))
    declared, guesses, _ = drafted(tmp_path / "d.npz", [2], [2])
    assert declared["labels"] == ["0", "1"]
    assert "classes are named by their numbers, since the data names 3; --labels names them" in guesses


@pytest.mark.parametrize("kind", [str, bytes])
def test_labels_that_are_words_are_classes(drafted: Callable[..., Drafted], tmp_path: Path, kind: type) -> None:
    words = ["on" if row % 4 else "off" for row in range(40)]
    spelt = np.array([word.encode() if kind is bytes else word for word in words])
    np.savez(tmp_path / "d.npz", x=np.zeros((40, 2)), y=spelt)
    declared, guesses, out = drafted(tmp_path / "d.npz", [2], [2])
    assert declared["labels"] == ["off", "on"]
    assert "classes are words of the labels by the alphabet, as most training code has them" in guesses
    assert np.bincount(dataset.read(out, "test").labels[0]).tolist() == [5, 15]


@pytest.mark.parametrize("name", ["speaker", "groups"])
def test_arrays_are_cut_between_groups(drafted: Callable[..., Drafted], tmp_path: Path, name: str) -> None:
    own = np.array([f"p{row % 5}" for row in range(40)])
    np.savez(tmp_path / "d.npz", x=np.stack([np.arange(40) % 5] * 2, 1), kind=np.arange(40) % 2, **{name: own})
    declared, guesses, out = drafted(tmp_path / "d.npz", [2], [2])
    assert (declared["data"]["group"], declared["data"]["labels"]) == (name, ["kind"])
    assert f"array {name!r} says what examples have in common: nobody is in two splits" in guesses
    splits = [{*np.asarray(dataset.read(out, split).inputs[0])[:, 0].tolist()} for split in dataset.examples(out)]
    assert sorted(number for split in splits for number in split) == [0, 1, 2, 3, 4]


UNCUT: dict[str, tuple[dict[str, Any], str]] = {
    "too few": ({"x": np.zeros((40, 2)), "y": np.arange(40) % 2, "subject": np.arange(40) % 2}, "it names 2, and each"),
    "cut by something else": (
        {
            f"{name}_{split}": own
            for split in ("train", "test")
            for name, own in (("x", np.zeros((40, 2))), ("y", np.arange(40) % 2), ("subject", np.arange(40) % 4))
        },
        "'0' is in two splits",
    ),
}


@pytest.mark.parametrize("kind", UNCUT)
def test_what_cannot_be_cut_between_groups_is_said(drafted: Callable[..., Drafted], tmp_path: Path, kind: str) -> None:
    arrays, told = UNCUT[kind]
    np.savez(tmp_path / "d.npz", **arrays)
    declared, guesses, _ = drafted(tmp_path / "d.npz", [2], [2])
    assert "group" not in declared["data"]
    assert any(guess.startswith(f"array 'subject' is left out: {told}") for guess in guesses)


def boxes(folder: Path, count: int = 8) -> None:
    folder.mkdir(parents=True)
    for k in range(count):
        Image.new("RGB", (8, 8), (k, k, k)).save(folder / f"{k}.jpg")


def test_pictures_in_no_folders_are_inputs_without_labels(drafted: Callable[..., Drafted], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(8):
        Image.new("RGB", (9, 7), (number, 0, 0)).save(tmp_path / "photos" / f"{number}.jpg")
    declared, guesses, out = drafted(tmp_path / "photos", [3, 4, 4], [5])
    assert (declared["task"], declared["data"]["use"]) == ("agreement", "images")
    assert dataset.examples(out)["test"] == 4
    assert guesses[0].startswith("the pictures lie in no folders of classes: answers are held against the file's own")


def test_annotations_of_coco_are_found_with_their_pictures(drafted: Callable[..., Drafted], tmp_path: Path) -> None:
    boxes(tmp_path / "set" / "train2017")
    content = {
        "images": [{"id": k, "file_name": f"{k}.jpg", "width": 8, "height": 8} for k in range(8)],
        "annotations": [{"image_id": k, "category_id": 3 + k % 2, "bbox": [0, 0, 4, 4]} for k in range(8)],
        "categories": [{"id": 4, "name": "car"}, {"id": 3, "name": "person"}],
    }
    (tmp_path / "set" / "annotations").mkdir()
    (tmp_path / "set" / "annotations" / "instances_train2017.json").write_text(json.dumps(content))
    declared, _, out = drafted(tmp_path / "set", [3, 8, 8], [12, 7])
    assert declared["data"] == {
        "use": "coco",
        "folder": "../../set/train2017",
        "train": "../../set/annotations/instances_train2017.json",
        "test": 0.5,
    }
    assert (declared["task"], declared["labels"]) == ("detection", ["person", "car"])
    assert declared["decoder"] == {"kind": "yolo"}
    assert {*dataset.read(out, "test").labels[0][:, 0, 0].tolist()} == {0, 1}


def test_folders_of_yolo_are_told_from_those_of_classes(drafted: Callable[..., Drafted], tmp_path: Path) -> None:
    boxes(tmp_path / "set" / "images")
    (tmp_path / "set" / "labels").mkdir()
    for k in range(8):
        (tmp_path / "set" / "labels" / f"{k}.txt").write_text(f"{k % 3} 0.5 0.5 0.2 0.2\n")
    declared, _, _ = drafted(tmp_path / "set", [3, 8, 8], [12, 7])
    assert (declared["data"]["use"], declared["labels"]) == ("yolo", ["0", "1", "2"])
    assert declared["decoder"] == {"kind": "yolo", "objectness": False}
    (tmp_path / "models" / "m" / "model.toml").unlink()
    (tmp_path / "models" / "m").rmdir()
    with pytest.raises(UsageError, match="which no decoder reads for 3 classes"):
        drafted(tmp_path / "set", [3, 8, 8], [12, 6])


def test_inputs_alone_are_for_agreement(drafted: Callable[..., Drafted], tmp_path: Path) -> None:
    np.savez(tmp_path / "real.npz", x=np.ones((9, 4), np.float32))
    declared, _, _ = drafted(tmp_path / "real.npz", [4], [2])
    assert (declared["data"]["use"], declared["task"]) == ("inputs", "agreement")


def test_what_is_of_no_kind_is_refused(drafted: Callable[..., Drafted], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.txt").write_text("x")
    for place in ("empty", "x.txt"):
        with pytest.raises(UsageError, match="is no data that is known for these inputs: pictures or"):
            drafted(tmp_path / place, [4], [2])
    (tmp_path / "x.csv").write_text("a,b\n")
    with pytest.raises(UsageError, match="has no rows"):
        drafted(tmp_path / "x.csv", [4], [2])
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="cannot be read"):
        drafted(tmp_path / "x.parquet", [4], [2])
