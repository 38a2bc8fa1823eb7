"""Boxes in pictures as arrays: how labels of a detection are laid out, for who reads annotations and who judges.

Labels of a split are [N, most, 5] float32: class, x1, y1, x2, y2 of each box, class numbers from 0, corners as shares
of the picture's width and height as it goes into the model (0 is left and top, 1 right and bottom). Pictures with fewer
boxes than the one with most have rows of class -1 and zeros behind theirs; a picture that nobody annotated is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Boxes = NDArray[np.float32]

ROW = ("class", "x1", "y1", "x2", "y2")
NONE = -1.0  # the class of a row that is no box


def padded(pictures: Sequence[Any]) -> Boxes:
    """Labels [N, most, 5] of pictures with any number of boxes [n, 5] each; `most` is 1 at least."""
    import numpy as np

    rows = [np.asarray(boxes, np.float32).reshape(-1, len(ROW)) for boxes in pictures]
    labels = np.zeros((len(rows), max([1, *map(len, rows)]), len(ROW)), np.float32)
    labels[..., 0] = NONE
    for place, boxes in enumerate(rows):
        labels[place, : len(boxes)] = boxes
    return labels


def of_picture(labels: Boxes) -> Boxes:
    """The boxes [n, 5] among the rows [most, 5] of one picture."""
    boxes: Boxes = labels[labels[:, 0] >= 0]
    return boxes


def from_corner(number: float, box: Sequence[float], size: tuple[float, float]) -> tuple[float, ...]:
    """A row of COCO's x, y, width, height in pixels, cut at the borders of a picture of `size` (width, height)."""
    (x, y, wide, high), (width, height) = box, size
    return (number, *(_share(*each) for each in ((x, width), (y, height), (x + wide, width), (y + high, height))))


def from_centre(number: float, box: Sequence[float]) -> tuple[float, ...]:
    """A row of YOLO's centre x, centre y, width, height, which are shares already, cut at the picture's borders."""
    x, y, wide, high = box
    corners = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
    return (number, *(_share(value, 1.0) for value in corners))


def _share(value: float, whole: float) -> float:
    return min(max(value / whole, 0.0), 1.0)


def mistake(labels: Any, classes: int) -> str | None:
    """What is wrong with the labels of a split, in words that follow its name; None when nothing is."""
    import numpy as np

    if labels.ndim != 3 or labels.shape[2] != len(ROW) or labels.dtype.kind not in "fiu":
        return f"needs boxes of shape [N, most, 5] ({', '.join(ROW)}), got {labels.dtype} {list(labels.shape)}"
    number, corners = labels[..., 0], labels[..., 1:]
    unknown = np.isnan(labels).all(2)
    whole = (number == np.floor(number)) & (number >= NONE) & (number < classes)
    inside = ((corners >= 0) & (corners <= 1)).all(2)
    ordered = (corners[..., 2] > corners[..., 0]) & (corners[..., 3] > corners[..., 1])
    good = unknown | (whole & ((number == NONE) | (inside & ordered)))
    if good.all():
        return None
    picture, row = (int(place) for place in np.argwhere(~good)[0])
    box = f"has the box {[round(float(value), 4) for value in labels[picture, row]]} in example {picture}"
    return f"{box}: class is below {classes}, corners are shares of the picture, x1 < x2 and y1 < y2"
