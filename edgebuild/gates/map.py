"""mAP: COCO's mean average precision of boxes, over classes and overlaps, must not fall by the margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from edgebuild.gates._box_metric import BoxMetric
from edgebuild.gates.statistics.detected import COCO_IOUS


class Map(BoxMetric):
    """At overlaps from 0.5 to 0.95 (Lin et al. 2014)."""

    overlaps: ClassVar[Sequence[float]] = COCO_IOUS
