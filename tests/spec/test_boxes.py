"""Boxes of pictures: one layout for readers of annotations and for the judge."""

from __future__ import annotations

import numpy as np
import pytest

from edgebuild.spec import boxes


def test_pictures_with_any_number_of_boxes_are_one_array() -> None:
    rows = [[[2, 0.1, 0.2, 0.5, 0.6], [0, 0, 0, 1, 1]], [], [[1, 0.25, 0.25, 0.5, 0.5]]]
    labels = boxes.padded(rows)
    assert labels.shape == (3, 2, 5)
    assert labels.dtype == np.float32
    assert [boxes.of_picture(picture).tolist() for picture in labels][2] == [[1, 0.25, 0.25, 0.5, 0.5]]
    assert [len(boxes.of_picture(picture)) for picture in labels] == [2, 0, 1]
    assert boxes.mistake(labels, 3) is None
    assert boxes.padded([[], []]).shape == (2, 1, 5)  # no box anywhere is not the same as no examples


def test_annotations_of_coco_and_yolo_become_the_same_row() -> None:
    coco = boxes.from_corner(3, [40, 10, 80, 40], (160, 100))
    yolo = boxes.from_centre(3, [0.5, 0.3, 0.5, 0.4])
    assert coco == pytest.approx((3, 0.25, 0.1, 0.75, 0.5))
    assert yolo == pytest.approx(coco)
    assert boxes.from_corner(0, [-5, 90, 400, 40], (160, 100)) == (0, 0, 0.9, 1, 1)  # cut at the borders


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ([3, 0, 0, 1, 1], "has the box [3.0, 0.0, 0.0, 1.0, 1.0] in example 1: class is below 3"),
        ([1, 0.5, 0, 0.5, 1], "x1 < x2 and y1 < y2"),
        ([1, 10, 20, 30, 40], "corners are shares of the picture"),
        ([0.5, 0, 0, 1, 1], "class is below 3"),
        ([1, 0, float("nan"), 1, 1], "in example 1"),
    ],
)
def test_what_is_no_box_is_told_with_its_example(row: list[float], told: str) -> None:
    labels = boxes.padded([[[0, 0, 0, 1, 1]], [row]])
    assert told in str(boxes.mistake(labels, 3))


def test_labels_of_another_task_are_refused() -> None:
    assert "needs boxes of shape [N, most, 5] (class, x1, y1, x2, y2), got int64 [4]" in str(
        boxes.mistake(np.arange(4), 3)
    )
    unannotated = np.full((2, 1, 5), np.nan, np.float32)
    assert boxes.mistake(unannotated, 3) is None
