"""What it costs a detector to be wrong, on candidates as its decoder proposes them: boxes and a score of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.travels.boxes import overlaps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Rows = NDArray[np.float32]

_NEAR = 10  # candidates of a box whose overlaps say how many answer to it (Ge et al. 2021, SimOTA)
_TINY = 1e-7


def loss(boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """The mean over pictures of what is wrong per box: 1 − GIoU of the candidates that answer to it (Rezatofighi et al.
    2019), and cross-entropy of scores, of which sure ones without a box weigh most (Lin et al. 2017, γ = 2).

    boxes [N, A, 4], scores [N, A, classes], labels [N, most, 5].
    """
    import torch

    total = 0 * scores.sum()
    for own, score, rows in zip(boxes, scores, labels, strict=True):
        known = rows[rows[:, 0] >= 0]
        likely = score.clamp(_TINY, 1 - _TINY)
        target = torch.zeros_like(likely)
        if len(known):
            candidate, box = _answering(own.detach(), likely.detach(), known)
            target[candidate, known[box, 0].long()] = 1
            total = total + (1 - _generalized(own[candidate], known[box, 1:])[0]).mean()
        weights = torch.where(target > 0, (1 - likely) ** 2, likely**2).detach()
        each = -(target * likely.log() + (1 - target) * (1 - likely).log())
        total = total + (weights * each).sum() / max(len(known), 1)
    return total / len(labels)


def distance(boxes: Tensor, scores: Tensor, teacher_boxes: Tensor, teacher_scores: Tensor) -> Tensor:
    """Kullback–Leibler divergence of each score as a yes or no, and how far boxes are, by how sure the teacher is."""
    own, goal = (each.clamp(_TINY, 1 - _TINY) for each in (scores, teacher_scores))
    apart = goal * (goal / own).log() + (1 - goal) * ((1 - goal) / (1 - own)).log()
    sure = teacher_scores.max(2).values
    off = (boxes - teacher_boxes).abs().mean(2)
    return (apart.sum((1, 2)) + (sure * off).sum(1)).mean() / max(scores.shape[1], 1)


def missed(detections: Rows, known: Rows, limit: float) -> float:
    """1 − 2·TP / (detections + boxes) of one picture; each detection [6], best first, takes the box it covers best."""
    import numpy as np

    if not len(detections) and not len(known):
        return 0.0
    open_, right = np.ones(len(known), bool), 0
    for row in detections:
        covered = overlaps(row[2:], known[:, 1:]) * (open_ & (known[:, 0] == row[0]))
        if len(covered) and covered.max() >= limit:
            open_[covered.argmax()] = False
            right += 1
    return 1 - 2 * right / (len(detections) + len(known))


def _answering(boxes: Tensor, scores: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Which candidates answer to which box: its cheapest ones, as many as their overlaps amount to (SimOTA).

    A candidate answers to one box. The distance of centres counts for those that cover nothing yet.
    """
    import torch

    shared = _generalized(boxes[None].expand(len(known), -1, -1), known[:, None, 1:])[1]
    centres, known_centres = ((each[..., :2] + each[..., 2:]) / 2 for each in (boxes, known[:, 1:]))
    far = (centres[None] - known_centres[:, None]).norm(dim=2)
    cost = -scores[:, known[:, 0].long()].T.log() - 3 * (shared + 1e-3).log() + 10 * far
    answers = torch.full((len(boxes),), -1, dtype=torch.long, device=boxes.device)
    least = torch.full((len(boxes),), float("inf"), device=boxes.device)
    for number, row in enumerate(cost):
        count = int(shared[number].topk(min(_NEAR, len(boxes))).values.sum().clamp(1, _NEAR))
        chosen = row.topk(min(count, len(boxes)), largest=False).indices
        better = chosen[row[chosen] < least[chosen]]
        answers[better], least[better] = number, row[better]
    candidate = (answers >= 0).nonzero()[:, 0]
    return candidate, answers[candidate]


def _generalized(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """GIoU and IoU of boxes [..., 4] with others."""
    import torch

    def area(one: Tensor) -> Tensor:
        sides = (one[..., 2:] - one[..., :2]).clamp(min=0)
        return sides[..., 0] * sides[..., 1]

    low = torch.maximum(boxes[..., :2], others[..., :2]), torch.minimum(boxes[..., :2], others[..., :2])
    high = torch.minimum(boxes[..., 2:], others[..., 2:]), torch.maximum(boxes[..., 2:], others[..., 2:])
    shared, hull = (area(torch.cat([low[k], high[k]], -1)) for k in range(2))
    union = (area(boxes) + area(others) - shared).clamp(min=_TINY)
    return shared / union - (hull - union) / hull.clamp(min=_TINY), shared / union
