"""Mean average precision of boxes as COCO defines it, also where pictures count more than once, as in a resample.

Which detection answers to which box does not depend on how often a picture counts, so pycocotools matches once; what is
repeated is the precision over recall, which is COCOeval's `accumulate` with weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

COCO_IOUS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))  # a detection must cover its box so far
_RECALLS = 101  # points at which precision is read


@dataclass(frozen=True, slots=True)
class Matched:
    """Detections of one class in all pictures, the surest first: the `picture` of each, whether it is `right` at each
    overlap [T, D]; and the number of boxes of the class in each picture, [N].
    """

    picture: NDArray[np.int64]
    right: NDArray[np.bool_]
    boxes: Array

    def average_precision(self, weights: Array) -> float:
        """The mean over overlaps and 101 recalls of the best precision at this recall or a higher one; NaN where no box
        is in the pictures that count. `weights` [N] say how often each does.
        """
        import numpy as np

        there = float(weights @ self.boxes)
        if there == 0:
            return float("nan")
        each = weights[self.picture]
        if not each.any():
            return 0.0
        hits = np.cumsum(self.right * each, axis=1)
        precision = hits / np.maximum(np.cumsum(each), np.finfo(np.float64).tiny)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recalls, last = np.linspace(0, 1, _RECALLS), best.shape[1]
        total = 0.0
        for row, reached in zip(best, hits / there, strict=True):
            first = np.searchsorted(reached, recalls, side="left")
            total += float(row[first[first < last]].sum())
        return total / (len(best) * _RECALLS)


def matched(detections: Any, labels: Any, overlaps: Sequence[float] = COCO_IOUS) -> Mapping[int, Matched]:
    """Detections [N, most, 6] (class, score, x1, y1, x2, y2) against labels [N, most, 5], by class.

    Classes that no picture has a box of are left out, as COCO leaves them out of its mean.
    """
    import numpy as np
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    boxes, answers = _rows(labels), _rows(detections)
    classes = np.unique(boxes[:, 1]).astype(int).tolist()
    with redirect_stdout(StringIO()):  # it prints as it goes
        truth, answered = COCO(), COCO()
        for coco, rows in ((truth, boxes), (answered, answers)):
            coco.dataset = _dataset(rows, len(labels), classes)
            coco.createIndex()
        judge = COCOeval(truth, answered, "bbox")
        judge.params.iouThrs = np.array(overlaps)
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.params.maxDets = [detections.shape[1]]
        judge.evaluate()
    pictures = len(labels)
    return {
        number: _of_class(judge.evalImgs[k * pictures : (k + 1) * pictures], boxes[boxes[:, 1] == number], pictures)
        for k, number in enumerate(classes)
    }


def mean(classes: Mapping[int, Matched], weights: Array) -> float:
    """The mean over classes that have a box in the pictures that count; NaN where none has."""
    import numpy as np

    values = np.array([one.average_precision(weights) for one in classes.values()])
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def _rows(arrays: Any) -> Any:
    """Rows of all pictures, [n, 1 + columns], with the picture's number first, less those that stand for none."""
    import numpy as np

    picture, row = np.nonzero(arrays[..., 0] >= 0)
    return np.column_stack([picture, arrays[picture, row].astype(np.float64)])


def _dataset(rows: Any, pictures: int, classes: Sequence[int]) -> dict[str, Any]:
    """What pycocotools reads: sides of boxes are shares of the picture, which leaves overlaps as they are."""
    annotations = []
    for number, row in enumerate(rows.tolist(), 1):
        x1, y1, x2, y2 = row[-4:]
        wide, high = x2 - x1, y2 - y1
        one = {"id": number, "image_id": int(row[0]), "category_id": int(row[1]), "score": row[2], "iscrowd": 0}
        annotations.append(one | {"bbox": [x1, y1, wide, high], "area": wide * high})
    images = [{"id": number} for number in range(pictures)]
    return {"images": images, "annotations": annotations, "categories": [{"id": number} for number in classes]}


def _of_class(evaluated: Sequence[Any], boxes: Any, pictures: int) -> Matched:
    import numpy as np

    seen = [one for one in evaluated if one is not None]
    picture = np.concatenate([np.full(len(one["dtScores"]), one["image_id"]) for one in seen]).astype(np.int64)
    scores = np.concatenate([one["dtScores"] for one in seen])
    right = np.concatenate([one["dtMatches"] for one in seen], axis=1) > 0
    order = np.argsort(-scores, kind="mergesort")
    count = np.bincount(boxes[:, 0].astype(int), minlength=pictures).astype(np.float64)
    return Matched(picture[order], right[:, order], count)
