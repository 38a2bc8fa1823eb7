"""Detection: decoders by their formulas, one code for the judge and the bundle, and a detector that learns here."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from edgebuild.nn import checkpoint
from edgebuild.spec import dataset, documents, notes, tasks
from edgebuild.spec.decoder import Decoder
from edgebuild.spec.preprocess import ImageInput
from edgebuild.spec.registry import FORMATS, GATES
from edgebuild.spec.signature import Head, TensorSpec
from edgebuild.spec.target import Gate
from edgebuild.tasks.detection import Detection
from edgebuild.travels import boxes, draw_image
from edgebuild.verbs.package import Request, package
from tests import tiny
from tests.bundle.test_assemble import assemble, execute

RNG = np.random.default_rng(0)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def candidates(outputs: list[np.ndarray], **how: Any) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores, which torch must find to be the same."""
    decoder = asdict(Decoder(**how))
    found = boxes.candidates(decoder, outputs, np)
    theirs = boxes.candidates(decoder, [torch.from_numpy(one) for one in outputs], torch)
    for ours, other in zip(found, theirs, strict=True):
        np.testing.assert_allclose(ours, other.numpy(), atol=1e-5)
    return found


def test_a_map_of_fastestdet_is_read_as_published() -> None:
    maps = RNG.uniform(0.1, 0.9, (2, 5 + 3, 2, 4)).astype(np.float32)
    found, scores = candidates([maps], kind="fastestdet")
    assert found.shape == (2, 8, 4)
    cell = maps[1, :, 1, 2]  # the third of the second row
    x, y, wide, high = (np.tanh(cell[1]) + 2) / 4, (np.tanh(cell[2]) + 1) / 2, sigmoid(cell[3]), sigmoid(cell[4])
    assert found[1, 6] == pytest.approx([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], abs=1e-6)
    assert scores[1, 6] == pytest.approx(cell[0] ** 0.6 * cell[5:] ** 0.4, abs=1e-6)


@pytest.mark.parametrize("columns_first", [False, True])
def test_rows_of_yolo_are_centres_in_pixels_with_or_without_an_objectness(columns_first: bool) -> None:
    rows = RNG.uniform(0.1, 0.9, (1, 20, 4 + 1 + 2)).astype(np.float32)
    rows[0, 3, :4] = 320, 160, 64, 32
    given = np.ascontiguousarray(rows.swapaxes(1, 2)) if columns_first else rows
    found, scores = candidates([given], kind="yolo", size=(640, 320))
    assert found[0, 3] == pytest.approx([0.45, 0.45, 0.55, 0.55])
    assert scores[0, 3] == pytest.approx(rows[0, 3, 4] * rows[0, 3, 5:])
    _, plain = candidates([given], kind="yolo", size=(640, 320), objectness=False, logits=True)
    assert plain[0, 3] == pytest.approx(sigmoid(rows[0, 3, 4:]), abs=1e-6)


def test_boxes_and_scores_of_ssd_may_have_a_background_and_corners_of_either_order() -> None:
    corners = np.array([[[0.1, 0.2, 0.5, 0.6]]], np.float32)
    logits = np.array([[[2.0, 1.0, 0.0]]], np.float32)
    found, scores = candidates([corners, logits], kind="ssd", corners="yxyx", background=True, logits=True)
    assert found[0, 0] == pytest.approx([0.2, 0.1, 0.6, 0.5])
    assert scores[0, 0] == pytest.approx((np.exp([2, 1, 0]) / np.exp([2, 1, 0]).sum())[1:], abs=1e-6)


@pytest.mark.parametrize("first", [0, 1])
def test_boxes_that_a_file_has_chosen_itself_are_taken_as_they_are(first: int) -> None:
    """As TFLite's post-processing gives them: the third row does not count, whatever is in it."""
    corners = np.array([[[0, 0, 0.4, 0.4], [0, 0, 0.4, 0.4], [0.5, 0.5, 1, 1]]], np.float32)
    classes, scores = np.array([[1, 0, 2**40]], np.int64) + first, np.array([[0.9, 0.8, 0.7]], np.float32)
    how = asdict(Decoder("detected", corners="yxyx", iou=1, most=4, background=bool(first)))
    for count in (np.array([2], np.int32), np.array([[2]], np.float32)):
        (rows,) = boxes.decoded(how, [corners, classes, scores, count])
        assert rows[:, 0].tolist() == [1, 0, -1, -1]
        assert rows[:2, 1] == pytest.approx([0.9, 0.8])
    (rows,) = boxes.decoded(how, [corners[:, :2], classes[:, :2], scores[:, :2]])
    assert rows[:, 0].tolist() == [1, 0, -1, -1]


def test_the_classes_of_chosen_boxes_may_be_whole_numbers_and_labels_of_all_classes_are_taken() -> None:
    shapes = {"boxes": (5, 4), "classes": (5,), "scores": (5,), "count": ()}
    outputs = [TensorSpec(name, shape, "int64" if len(shape) < 2 and name != "scores" else "float32")
               for name, shape in shapes.items()]  # fmt: skip
    head = Head("d", "detection", (0, 1, 2, 3), labels=("a", "b", "c"), decoder=Decoder("detected", iou=1))
    task = Detection.of(head)
    task.check(head, outputs)
    assert task.label_mistake(np.array([[[2, 0, 0, 1, 1]]], np.float32), outputs) is None
    assert "class is below 3" in (task.label_mistake(np.array([[[3, 0, 0, 1, 1]]], np.float32), outputs) or "")
    assert task.mixed() is None


def test_suppression_keeps_the_best_of_each_class_and_says_which_rows_are_none() -> None:
    corners = np.array([[[0, 0, 0.4, 0.4], [0.02, 0, 0.42, 0.4], [0, 0, 0.4, 0.4], [0.5, 0.5, 1.4, 1]]], np.float32)
    scores = np.array([[[0.8, 0], [0.9, 0], [0, 0.7], [0.0005, 0]]], np.float32)
    how = asdict(Decoder("ssd", corners="xyxy", most=5))
    (rows,) = boxes.decoded(how, [corners, scores])
    assert rows[:, 0].tolist() == [0, 1, -1, -1, -1]  # the first covers a better one, the last is below `score`
    assert rows[:2, 1] == pytest.approx([0.9, 0.7])
    low = boxes.decoded(how | {"score": 0.0001, "iou": 1.0, "most": 3}, [corners, scores])[0]
    assert low[:, 1] == pytest.approx([0.9, 0.8, 0.7])
    assert boxes.decoded(how | {"score": 0.0001}, [corners, scores])[0][2, 4] == 1  # cut at the border


@pytest.mark.parametrize(
    ("decoder", "shapes", "told"),
    [
        (None, [(8, 2, 2)], "needs a \\[decoder\\]"),
        (Decoder("fastestdet"), [(7, 2, 2)], "reads one output \\[8, H, W\\] for 3 classes"),
        (Decoder("yolo"), [(100, 7)], "reads one output \\[anchors, 8\\]"),
        (Decoder("ssd", background=True), [(100, 4), (100, 3)], "then one \\[A, 4\\] of scores"),
    ],
)
def test_a_decoder_that_does_not_fit_the_outputs_is_refused(decoder: Any, shapes: Any, told: str) -> None:
    head = Head("boxes", "detection", tuple(range(len(shapes))), labels=("a", "b", "c"), decoder=decoder)
    with pytest.raises(ValueError, match=told):
        Detection().check(head, [TensorSpec(f"output_{k}", shape) for k, shape in enumerate(shapes)])


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> tiny.Made:
    """A detector that learns where squares are."""
    return tiny.start("squares", tmp_path_factory.mktemp("squares"))


def precision(squares: tiny.Made, outputs: np.ndarray) -> float:
    """mAP at an overlap of a half on the held-out pictures."""
    (head,), test = dataset.heads(squares["data"]), dataset.read(squares["data"], "test")
    metric = GATES.get("map50")
    return float(metric.score(tasks.of(head).scored([outputs], []), test.labels[0])(np.ones(len(outputs))))


def outputs_of(file: Path) -> np.ndarray:
    """What a file answers to all held-out pictures."""
    (made,) = [kind for kind in FORMATS.usable().values() if kind.file == file.name]
    inputs = dataset.read(file.parents[1] / "data", "test").inputs[0]
    samples = [(np.array(inputs[k : k + 1]),) for k in range(len(inputs))]
    return np.concatenate([one for (one,) in made().run(file.read_bytes(), samples)])


def answered(module: Any, squares: tiny.Made) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(module.eval()(torch.from_numpy(np.array(dataset.read(squares["data"], "test").inputs[0]))))


def test_a_detector_learns_from_boxes(squares: tiny.Made) -> None:
    learnt = checkpoint.load(squares["float"]).module
    fresh = type(learnt)()
    assert precision(squares, answered(fresh, squares)) < 0.1
    assert precision(squares, answered(learnt, squares)) > 0.5


def test_the_mistakes_of_a_picture_are_missed_and_false_boxes(squares: tiny.Made) -> None:
    (head,) = dataset.heads(squares["data"])
    assert head.decoder == Decoder("yolo", most=8, show=0.2, size=(32.0, 32.0))
    wide = Head("boxes", "detection", (0, 1), decoder=Decoder("ssd", corners="xyxy", show=0.5, most=4))
    corners = np.array([[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]], np.float32)
    labels = np.array([[[0, 0, 0, 0.5, 0.5], [1, 0.5, 0.5, 1, 1]]], np.float32)
    for scores, error in (([[0.9, 0], [0, 0.9]], 0), ([[0.9, 0], [0.9, 0]], 0.5), ([[0.9, 0], [0, 0.4]], 1 / 3)):
        given = [corners, np.array([scores], np.float32)]
        assert tasks.of(wide).errors(given, labels) == pytest.approx([error])


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_boxes_in_pixels_and_scores_in_one_output_keep_scales_of_their_own(squares: tiny.Made, name: str) -> None:
    """One scale for both, of 32 / 255 here, leaves scores eight steps; a picture of 640 pixels leaves them none."""
    whole, quantized = (outputs_of(squares.file(artifact)) for artifact in (name, f"{name}-int8"))
    steps = np.unique(quantized[:, 4:])
    assert len(steps) > 30
    assert precision(squares, quantized) > precision(squares, whole) - 0.05
    (told,) = (line for line in notes.read(squares[f"{name}-int8"]) if "output 0" in line)
    assert told == "output 0 holds boxes and scores, which keep scales of their own in float"


def test_the_bundles_runner_shows_what_the_judge_was_given(squares: tiny.Made, tmp_path: Path) -> None:
    bundle = assemble(squares, tmp_path, "onnx", gates=(Gate("size", "-10 %"),)) / "bundle"
    outputs = outputs_of(squares.file("onnx"))[3:4]
    (head,) = dataset.heads(squares["data"])
    rows = tasks.of(head).scored([outputs], [])[0]
    shown = [row for row in rows.tolist() if row[0] >= 0 and row[1] >= 0.2]
    assert shown
    names = ("dark", "bright")
    wanted = ", ".join(
        f"{names[int(number)]} ({100 * score:.1f} %) at {' '.join(f'{corner:.3f}' for corner in corners)}"
        for number, score, *corners in shown
    )
    assert execute(bundle, str(bundle / "sample.npy")).strip() == f"sample.npy: {wanted}"
    nothing = bundle / "nothing.npy"
    np.save(nothing, np.zeros((1, 1, 32, 32), np.float32))
    assert execute(bundle, str(nothing)).strip() == "nothing.npy: nothing"
    assert "boxes.py" in (bundle / "README.md").read_text()


def test_boxes_are_told_and_drawn_where_they_are(squares: tiny.Made, tmp_path: Path) -> None:
    bundle = assemble(squares, tmp_path, "onnx", preprocess=ImageInput(width=32, height=32)) / "bundle"
    pixels = np.zeros((64, 64), np.uint8)
    pixels[16:40, 8:32] = 255
    Image.fromarray(pixels).save(tmp_path / "square.png")
    (line,) = execute(bundle, str(tmp_path / "square.png"), "--json", "--draw", str(tmp_path / "drawn")).splitlines()
    (rows,) = json.loads(line)["boxes"].values()
    (drawn,) = (tmp_path / "drawn").iterdir()
    seen = np.asarray(Image.open(drawn))
    assert drawn.name.endswith("_square.png")
    assert seen.shape == (64, 64, 3)
    assert rows
    labels = json.loads((bundle / "labels.json").read_text())
    for box in rows:
        _, top, right, bottom = (64 * share for share in box["box"])
        middle = seen[min(63, int((top + bottom) / 2)), min(63, int(right))]
        assert tuple(middle) == draw_image.colour(labels.index(box["label"]) + 1)


DETECTIONS = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import squares_board
shown = squares_board.detections(squares_board.predict(np.load(sys.argv[2])[0]))
words = [f"{one.label} ({100 * one.score:.1f} %) at {' '.join(f'{corner:.3f}' for corner in one[2:])}" for one in shown]
print(", ".join(words))
"""


def test_a_detector_is_packaged_as_every_kind_and_its_wheel_decodes(squares: tiny.Made, tmp_path: Path) -> None:
    bundle = assemble(squares, tmp_path, "tflite", gates=(Gate("size", "-10 %"),), answers=True) / "bundle"
    kinds = ("android", "c", "deb", "mlbom", "oci", "sides", "slsa", "wheel")
    folders = {kind: package(Request(bundle, kind, tmp_path / kind, "1.0")).folder for kind in kinds}
    (file,) = folders["wheel"].glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "installed")
    command = [sys.executable, "-I", "-c", DETECTIONS, str(tmp_path / "installed"), str(bundle / "sample.npy")]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert shown
    assert execute(bundle, str(bundle / "sample.npy")).strip() == f"sample.npy: {shown}"
    signature = json.loads(next(folders["android"].rglob("signature.json")).read_text())
    assert signature["heads"][0]["decoder"] == documents.to_json(dataset.heads(squares["data"])[0].decoder)
    assert [path.name for path in folders["android"].rglob("boxes.kt")] == ["boxes.kt"]
