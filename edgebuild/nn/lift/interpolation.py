"""One axis of ONNX's Resize as a matrix: what each new place takes of each old one.

After the operator's own specification (ONNX: Resize, opset 19), which is separable by axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Scaling:
    """What happens to one axis, in the words of the operator's attributes.

    old, new: its sizes; scale: their ratio as it was asked for, which sizes cut down
    """

    old: int
    new: int
    scale: float
    mode: str
    transform: str
    nearest: str
    cubic: float
    exclude_outside: bool
    antialias: bool
    region: tuple[float, float]
    outside: float


def matrix(scaling: Scaling) -> Array:
    """[new, old]; each row adds up to 1."""
    import numpy as np

    weights = np.zeros((scaling.new, scaling.old))
    for place in range(scaling.new):
        origin = _origin(scaling, place)
        if scaling.mode == "nearest":
            weights[place, min(max(_nearest(scaling, origin), 0), scaling.old - 1)] = 1
        else:
            _spread(scaling, origin, weights[place])
    return weights


def _origin(scaling: Scaling, place: int) -> float:
    """Where a new place lies among the old ones, by the way of counting (`coordinate_transformation_mode`)."""
    old, new, scale = scaling.old, scaling.new, scaling.scale
    half = (place + 0.5) / scale - 0.5
    ends = place * (old - 1) / (new - 1) if new > 1 else 0.0
    return {
        "align_corners": ends,
        "asymmetric": place / scale,
        "pytorch_half_pixel": half if new > 1 else 0.0,
        "tf_half_pixel_for_nn": (place + 0.5) / scale,
        "half_pixel_symmetric": half + old / 2 * (1 - new / (scale * old)),
        "tf_crop_and_resize": ends if new > 1 else 0.5 * (old - 1),
    }.get(scaling.transform, half)


def _nearest(scaling: Scaling, origin: float) -> int:
    if scaling.nearest == "floor":
        return math.floor(origin)
    if scaling.nearest == "ceil":
        return math.ceil(origin)
    down = math.floor(origin)
    half = origin - down == 0.5
    if half:
        return down if scaling.nearest == "round_prefer_floor" else down + 1
    return round(origin)


def _spread(scaling: Scaling, origin: float, row: Array) -> None:
    """Write the weights of a filter around a place; beyond the ends those of the last value count."""
    stretch = 1 / scaling.scale if scaling.antialias and scaling.scale < 1 else 1.0
    reach = 2 if scaling.mode == "cubic" else 1
    first, last = math.floor(origin - reach * stretch), math.ceil(origin + reach * stretch)
    pairs = [(place, _filter(scaling, (place - origin) / stretch)) for place in range(first, last + 1)]
    if scaling.exclude_outside:
        pairs = [pair for pair in pairs if 0 <= pair[0] < scaling.old]
    total = sum(weight for _, weight in pairs)
    for place, weight in pairs:
        row[min(max(place, 0), scaling.old - 1)] += weight / total


def _filter(scaling: Scaling, distance: float) -> float:
    """Linear, or cubic (Keys 1981) with the coefficient `a`."""
    x, a = abs(distance), scaling.cubic
    if scaling.mode != "cubic":
        return max(0.0, 1 - x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0
