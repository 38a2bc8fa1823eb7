"""Turns what a detector answers into boxes, by a decoder that is data; the judge and a bundle's run.py both use this.

A decoder is what `[decoder]` of a model says (edgebuild's spec/decoder.py has the meaning of each key). It travels in
bundles: Python 3.9 and numpy, nothing of edgebuild. `candidates` takes torch tensors as well, for losses.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

Array = Any  # numpy.ndarray, or torch.Tensor where a module `xp` says so
How = Mapping[str, Any]
ROW = 6  # of a detection: class, score, x1, y1, x2, y2
MOST_CLASSES = 10_000
NONE = -1.0  # the class of a row that is no detection


def decoded(how: How, outputs: Sequence[Array]) -> Array:
    """Detections [N, most, 6] of outputs [N, …]: class, score and corners as shares of the picture, best first.

    Of each candidate the likeliest class counts. Rows behind the last detection have class -1.
    """
    import numpy as np

    boxes, scores = candidates(how, [np.asarray(one, np.float32) for one in outputs], np)
    detected = np.zeros((len(boxes), how["most"], ROW), np.float32)
    detected[..., 0] = NONE
    for place in range(len(boxes)):
        rows = detections(how, boxes[place], scores[place])
        detected[place, : len(rows)] = rows
    return detected


def detections(how: How, boxes: Array, scores: Array) -> Array:
    """Detections [n, 6] of one picture's candidates, boxes [A, 4] and scores [A, classes]."""
    import numpy as np

    classes = scores.argmax(1)
    best = scores[np.arange(len(scores)), classes]
    likely = np.flatnonzero(best > how["score"])
    likely = likely[np.argsort(-best[likely], kind="stable")]
    kept = likely[suppressed(boxes[likely], classes[likely], how["iou"], how["most"])]
    return np.concatenate([classes[kept, None], best[kept, None], np.clip(boxes[kept], 0, 1)], 1).astype(np.float32)


def suppressed(boxes: Array, classes: Array, limit: float, most: int) -> List[int]:
    """Rows that non-maximum suppression keeps of boxes [n, 4], best first: none covers a better one of its class."""
    import numpy as np

    kept: List[int] = []
    open_ = np.arange(len(boxes))
    while len(open_) and len(kept) < most:
        first, open_ = int(open_[0]), open_[1:]
        kept.append(first)
        rivals = (classes[open_] == classes[first]) & (overlaps(boxes[first], boxes[open_]) > limit)
        open_ = open_[~rivals]
    return kept


def overlaps(box: Array, boxes: Array) -> Array:
    """Intersection over union of a box [4] with each of boxes [n, 4], x1, y1, x2, y2."""
    import numpy as np

    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.clip(sides, 0, None).prod(1)
    whole = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - shared
    return shared / np.maximum(whole, 1e-12)


def candidates(how: How, outputs: Sequence[Array], xp: Any) -> Tuple[Array, Array]:
    """Boxes [N, A, 4] (corners as shares of the picture) and scores [N, A, classes] of all that a detector proposes.

    `xp` is the module that the arrays are of: numpy, or torch.
    """
    kind: Callable[..., Tuple[Array, Array]] = KINDS[how["kind"]]
    return kind(how, outputs, xp)


def _fastestdet(how: How, outputs: Sequence[Array], xp: Any) -> Tuple[Array, Array]:
    """One map [N, 5 + classes, H, W] of FastestDet: score o^0.6 · c^0.4, centre (tanh + cell) / cells, size sigmoid."""
    (maps,) = outputs
    high, wide = maps.shape[2:]
    rows = xp.swapaxes(maps.reshape(len(maps), maps.shape[1], high * wide), 1, 2)
    cells = (rows[0, :, 0] == rows[0, :, 0]).cumsum(0) - 1  # 0, 1, …, of either module and on any device
    x = (xp.tanh(rows[..., 1]) + cells % wide) / wide
    y = (xp.tanh(rows[..., 2]) + cells // wide) / high
    sizes = _sigmoid(rows[..., 3:5], xp)
    scores = xp.clip(rows[..., :1], 1e-6, 1) ** 0.6 * xp.clip(rows[..., 5:], 1e-6, 1) ** 0.4
    return _corners(xp.stack([x, y, sizes[..., 0], sizes[..., 1]], -1), "centre", xp), scores


def _yolo(how: How, outputs: Sequence[Array], xp: Any) -> Tuple[Array, Array]:
    """Rows [N, anchors, 4 + classes], or 4 + 1 + classes with an objectness; columns first where these are fewer."""
    (rows,) = outputs
    if rows.shape[1] < rows.shape[2]:
        rows = xp.swapaxes(rows, 1, 2)
    scores = _sigmoid(rows[..., 4:], xp) if how["logits"] else rows[..., 4:]
    if how["objectness"]:
        scores = scores[..., :1] * scores[..., 1:]
    return _shares(how, rows[..., :4], xp), scores


def _ssd(how: How, outputs: Sequence[Array], xp: Any) -> Tuple[Array, Array]:
    """Boxes [N, A, 4] and scores [N, A, classes], whose first column is the background where the decoder says so."""
    boxes, scores = outputs
    if how["logits"]:
        raised = xp.exp(xp.clip(scores, -60, 60))
        scores = raised / raised.sum(-1)[..., None] if how["background"] else _sigmoid(scores, xp)
    return _shares(how, boxes, xp), scores[..., 1:] if how["background"] else scores


def _detected(how: How, outputs: Sequence[Array], xp: Any) -> Tuple[Array, Array]:
    """Boxes [N, A, 4], classes [N, A], scores [N, A], and perhaps how many of them count, [N] or [N, 1]."""
    boxes, classes, scores = outputs[:3]
    classes = classes - 1 if how["background"] else classes
    if len(outputs) > 3:
        there = xp.arange(scores.shape[1])[None] < outputs[3].reshape(len(scores), 1)
        scores = scores * there
    known = xp.arange(min(max(int(classes.max()) + 1, 1), MOST_CLASSES))  # rows that do not count may have any number
    return _shares(how, boxes, xp), scores[..., None] * (classes[..., None] == known)


KINDS: Dict[str, Callable[..., Tuple[Array, Array]]] = {
    "fastestdet": _fastestdet,
    "yolo": _yolo,
    "ssd": _ssd,
    "detected": _detected,
}


def _shares(how: How, boxes: Array, xp: Any) -> Array:
    """Corners as shares of the picture."""
    corners = _corners(boxes, how["corners"], xp)
    if how["size"] is None:
        return corners
    width, height = how["size"]
    return xp.stack([corners[..., k] / (height if k % 2 else width) for k in range(4)], -1)


def _corners(boxes: Array, corners: str, xp: Any) -> Array:
    """x1, y1, x2, y2 of boxes [N, A, 4] that are written otherwise."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if corners == "centre":
        return xp.concatenate([first - second / 2, first + second / 2], -1)
    if corners == "yxyx":
        return xp.stack([boxes[..., 1], boxes[..., 0], boxes[..., 3], boxes[..., 2]], -1)
    return boxes


def _sigmoid(values: Array, xp: Any) -> Array:
    return 1 / (1 + xp.exp(-xp.clip(values, -60, 60)))
