"""mAP at an overlap of a half: whether things are seen, less where exactly; it must not fall by the margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from edgebuild.gates._box_metric import BoxMetric


class Map50(BoxMetric):
    """At an overlap of 0.5 alone (Everingham et al. 2010)."""

    overlaps: ClassVar[Sequence[float]] = (0.5,)
