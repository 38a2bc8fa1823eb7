"""Pictures of another size, and pictures taken at given places."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call
from edgebuild.nn.lift.interpolation import Scaling, matrix

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Array = np.ndarray[Any, Any]

_TORCH = {"nearest": ("nearest", "nearest-exact"), "linear": ("linear", "bilinear", "trilinear"), "cubic": ("bicubic",)}


def resize(call: Call) -> Any:
    """Another size of some axes, by torch's own interpolation where that gives the same, else axis by axis."""
    scalings = _scalings(call)
    result = call.tensor(0)
    if not scalings:
        return call.value(0)
    own = _own(call, scalings)
    if own is not None:
        return call.emit(interpolated, result, *own)
    for axis, scaling in scalings.items():
        weights = matrix(scaling)
        if scaling.mode == "nearest":
            result = call.emit(chosen, result, axis, tuple(int(place) for place in weights.argmax(1)))
        else:
            held = call.buffer(f"{call.node.output[0]}_axis{axis}", weights.astype(_dtype(call)))
            result = call.emit(weighted, result, held, axis)
    return result


def _dtype(call: Call) -> str:
    return str(call.trial(0).dtype).removeprefix("torch.")


def chosen(values: Tensor, axis: int, places: tuple[int, ...]) -> Tensor:
    """The values at these places of one axis."""
    import torch

    return values.index_select(axis, torch.tensor(places, device=values.device))


def weighted(values: Tensor, weights: Tensor, axis: int) -> Tensor:
    """Each new place of one axis as a weighted sum of the old: weights are [new, old]."""
    return (values.movedim(axis, -1) @ weights.t()).movedim(-1, axis)


def interpolated(values: Tensor, size: tuple[int, ...], mode: str, corners: bool | None, smooth: bool) -> Tensor:
    """`functional.interpolate` to a size."""
    from torch.nn import functional

    return functional.interpolate(values, size, mode=mode, align_corners=corners, antialias=smooth)


def _own(call: Call, scalings: Mapping[int, Scaling]) -> tuple[Any, ...] | None:
    """Torch's arguments for the same answer, told by trying; None where none gives it."""
    rank = call.rank(0) - 2
    if not 0 < rank <= 3 or min(scalings) < 2 or not call.trial(0).is_floating_point():
        return None
    shape = call.shape(0)
    size = tuple(scalings[axis].new if axis in scalings else shape[axis] for axis in range(2, rank + 2))
    one = next(iter(scalings.values()))
    for name in _TORCH[one.mode]:
        corner: tuple[bool | None, ...] = (None,) if one.mode == "nearest" else (False, True)
        for align in corner:
            if _same(scalings, shape, (size, name, align, one.antialias)):
                return size, name, align, one.antialias
    return None


def _same(scalings: Mapping[int, Scaling], shape: Sequence[int], arguments: tuple[Any, ...]) -> bool:
    """Whether torch moves a ramp of random numbers along each axis as the matrices do."""
    import torch

    rank = len(shape) - 2
    generator = torch.Generator().manual_seed(0)
    probe = torch.rand(1, 1, *shape[2:], generator=generator)
    expected = probe
    for axis, scaling in scalings.items():
        expected = weighted(expected, torch.from_numpy(matrix(scaling)).float(), axis)
    try:
        answer = interpolated(probe, *arguments)
    except (RuntimeError, ValueError, NotImplementedError):  # not this mode with so many axes
        return False
    return rank > 0 and answer.shape == expected.shape and bool((answer - expected).abs().max() < 1e-5)


def _scalings(call: Call) -> dict[int, Scaling]:
    """What each axis that changes becomes."""
    rank, old = call.rank(0), call.shape(0)
    upsample = call.kind == "Upsample" or call.version < 11
    scales, sizes = _asked(call, upsample)
    axes = [axis % rank for axis in call.integers("axes", tuple(range(rank)))]
    policy = call.word("keep_aspect_ratio_policy", "stretch")
    if sizes is not None:
        ratios = [size / old[axis] for size, axis in zip(sizes, axes, strict=True)]
        if policy != "stretch":
            one = min(ratios) if policy == "not_larger" else max(ratios)
            ratios, sizes = [one] * len(ratios), [math.floor(one * old[axis] + 0.5) for axis in axes]
    else:
        ratios = list(scales or [])
        sizes = [math.floor(old[axis] * ratio) for axis, ratio in zip(axes, ratios, strict=True)]
    mode = call.word("mode", "nearest")
    regions = call.array(1).tolist() if not upsample and call.has(1) else []
    scalings = {}
    for place, axis in enumerate(axes):
        region = (regions[place], regions[place + len(axes)]) if regions else (0.0, 1.0)
        scaling = Scaling(
            old[axis],
            sizes[place],
            ratios[place],
            "linear" if mode in ("bilinear", "trilinear") else mode,
            "asymmetric" if upsample else call.word("coordinate_transformation_mode", "half_pixel"),
            "floor" if upsample else call.word("nearest_mode", "round_prefer_floor"),
            call.number("cubic_coeff_a", -0.75),
            bool(call.integer("exclude_outside")),
            bool(call.integer("antialias")),
            region,
            call.number("extrapolation_value", 0.0),
        )
        cropped = scaling.transform == "tf_crop_and_resize" and region != (0.0, 1.0)
        if scaling.new != scaling.old or scaling.scale != 1 or cropped:
            scalings[axis] = scaling
            call.need(not cropped, "it crops as it resizes")
    return scalings


def _asked(call: Call, upsample: bool) -> tuple[list[float] | None, list[int] | None]:
    """The scales or the sizes that the file asks for."""
    if call.kind == "Upsample" and not call.has(1):
        return [float(scale) for scale in call.attribute("scales") or ()], None
    if upsample:
        return [float(scale) for scale in call.array(1)], None
    if call.has(3) and call.array(3).size:
        return None, [int(size) for size in call.array(3)]
    return [float(scale) for scale in call.array(2)], None


def sampled(call: Call) -> Any:
    """A picture at the places of a grid."""
    from torch.nn import functional

    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(call.word("mode", "bilinear"), call.word("mode", "bilinear"))
    corners = bool(call.integer("align_corners"))
    border = call.word("padding_mode", "zeros")
    return call.emit(functional.grid_sample, call.tensor(0), call.tensor(1), mode, border, corners)


def affine_grid(call: Call) -> Any:
    """The places of a grid that is turned, moved and stretched."""
    from torch.nn import functional

    size = call.numbers(1) or ()
    return call.emit(functional.affine_grid, call.tensor(0), size, bool(call.integer("align_corners")))


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    "AffineGrid": affine_grid,
    "GridSample": sampled,
    "Resize": resize,
    "Upsample": resize,
}
