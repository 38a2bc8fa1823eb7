"""Mean average precision: pycocotools' own number, on the whole and on pictures drawn twice, and verdicts by class."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgebuild.gates.statistics import detected
from edgebuild.gates.statistics.bootstrap import UndefinedError
from edgebuild.spec import dataset, documents, evidence
from edgebuild.spec.boxes import padded
from edgebuild.spec.decoder import Decoder
from edgebuild.spec.evidence import FILE, ONLY, Evidence, Scores, Values
from edgebuild.spec.registry import GATES
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Head
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence.scores import Scores as Measure
from tests import tiny
from tests.gates.statistics import few
from tests.steps.evidence import folders

PICTURES, CLASSES = 24, 5
HEAD = Head(
    ONLY, "detection", (0, 1), labels=("a", "b", "c", "d", "e"), decoder=Decoder("ssd", corners="xyxy", most=12)
)


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of pictures, and detections of them that are off, doubled, missing and of a wrong class."""
    rng = np.random.default_rng(seed)
    labels, found = [], np.zeros((PICTURES, 12, 6), np.float32)
    found[..., 0] = -1
    for picture in range(PICTURES):
        corner, side = rng.uniform(0, 0.6, (rng.integers(0, 6), 2)), rng.uniform(0.1, 0.4, (6, 2))
        classes = rng.integers(0, CLASSES - 1, len(corner))  # no box is of the last
        rows = np.column_stack([classes, corner, corner + side[: len(corner)]])
        labels.append(rows)
        said = np.concatenate([rows, rows[:2], rng.uniform((0, 0, 0, 0.5, 0.5), (0.5, 0.5, 0.5, 1, 1), (2, 5))])[:12]
        said[:, 1:] = np.clip(said[:, 1:] + rng.normal(0, 0.02, (len(said), 4)), 0, 1)
        said[:, 0] = np.where(rng.uniform(size=len(said)) < 0.2, rng.integers(0, CLASSES, len(said)), said[:, 0] // 1)
        scores = np.sort(rng.uniform(0, 1, len(said)))[::-1]
        found[picture, : len(said)] = np.column_stack([said[:, 0], scores, said[:, 1:]])
    return padded(labels), found


def by_the_library(labels: np.ndarray, found: np.ndarray, rows: Any) -> tuple[float, float]:
    """mAP and mAP at a half as COCOeval says, for pictures in rows, any of them as often as drawn."""
    truth, answers = [], []
    for number, row in enumerate(rows):
        for kind, *corners in labels[row].tolist():
            if kind >= 0:
                truth.append({"image_id": number, "category_id": int(kind), "iscrowd": 0, **sides(corners)})
        for kind, score, *corners in found[row].tolist():
            if kind >= 0:
                answers.append({"image_id": number, "category_id": int(kind), "score": score, **sides(corners)})
    images = [{"id": number} for number in range(len(rows))]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": images,
            "categories": [{"id": number} for number in range(CLASSES)],
            "annotations": [one | {"id": number} for number, one in enumerate(truth, 1)],
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(answers), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0]), float(judge.stats[1])


def sides(corners: list[float]) -> dict[str, Any]:
    x1, y1, x2, y2 = corners
    return {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_value_is_the_librarys_on_the_whole_and_on_a_resample(seed: int) -> None:
    labels, found = scene(seed)
    drawn = np.random.default_rng(seed).integers(0, PICTURES, PICTURES)
    for place, metric in enumerate(("map", "map50")):
        value = GATES.get(metric).score(found, labels)
        assert value(np.ones(PICTURES)) == pytest.approx(
            by_the_library(labels, found, range(PICTURES))[place], abs=1e-9
        )
        weights = np.bincount(drawn, minlength=PICTURES).astype(float)
        assert value(weights) == pytest.approx(by_the_library(labels, found, drawn)[place], abs=1e-9)


def test_pictures_without_any_box_have_no_value() -> None:
    labels, found = scene()
    with pytest.raises(UndefinedError, match="no held-out picture has a box"):
        GATES.get("map").score(found, padded([[]] * PICTURES))
    assert GATES.get("map").score(np.full_like(found, -1), labels)(np.ones(PICTURES)) == 0
    assert np.isnan(detected.mean({}, np.ones(2)))


def raw(found: np.ndarray) -> list[np.ndarray]:
    """Outputs of which the decoder makes these detections."""
    scores = np.zeros((PICTURES, 12, CLASSES), np.float32)
    there = np.nonzero(found[..., 0] >= 0)
    scores[(*there, found[..., 0][there].astype(int))] = found[..., 1][there]
    return [found[..., 2:], scores]


def measured(folder: Path, ours: np.ndarray, theirs: np.ndarray, labels: np.ndarray) -> Scores:
    data = folder / "data"
    data.mkdir(parents=True)
    dataset.write(data, "test", Split((np.zeros((PICTURES, 1), np.float32),), (labels,)), [HEAD])
    dataset.describe(data, [HEAD], {"test": PICTURES}, {})
    inputs = {"data": ("data", data)}
    for role, found in (("candidate", ours), ("baseline", theirs)):
        first, *more = raw(found)
        inputs[role] = folders.outputs(folder / role, first, more=more)
    step = Measure(((ONLY, "map", 0.95),), {ONLY: HEAD.labels})
    return documents.read(Scores, tiny.perform(step, folder / "out", inputs) / FILE)


def test_the_verdict_names_the_class_that_lost_most_and_the_worst_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few.resamples(monkeypatch, 199)
    labels, found = scene()
    blind = found.copy()
    blind[..., 1] = np.where(found[..., 0] == 2, found[..., 1] * 0.01, found[..., 1])  # what is of class c is unsure
    blind[..., 2:] = np.where(found[..., :1] == 2, 0, found[..., 2:])
    scores = measured(tmp_path, blind, found, labels)
    changes = scores.heads[ONLY]
    assert {*changes.classes} == {"a", "b", "c", "d"}
    lost = changes.classes["c"].metrics["map"]
    assert isinstance(lost, Values)
    assert lost.candidate == 0 < lost.baseline
    assert changes.classes["c"].n == int((labels[..., 0] == 2).any(1).sum())
    assert changes.worst
    assert all(one.candidate > one.baseline for one in changes.worst)
    assert all((labels[one.example, :, 0] == 2).any() for one in changes.worst)
    verdict = GATES.get("map")().judge(Gate("map", "40 pp"), Evidence(scores=scores))
    assert "most in class 'c'" in verdict.reason
    assert verdict.status == "pass"
    assert GATES.get("map")().judge(Gate("map", "1 pp"), Evidence(scores=scores)).status != "pass"
    same = measured(tmp_path / "same", found, found, labels)
    (change,) = same.heads[ONLY].metrics["map"].values()
    assert isinstance(change, evidence.Change)
    assert change.estimate == 0
    assert same.heads[ONLY].worst == ()
