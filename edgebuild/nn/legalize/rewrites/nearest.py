"""Pictures made larger or smaller by repeating or leaving out points, by no whole factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Nearest(Rewrite):
    """The nearest points of a picture, by no whole factor: chosen one by one, as the file rounds otherwise."""

    operators: ClassVar[tuple[str, ...]] = ("upsample_nearest2d.vec",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "wrong"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where an axis does not become a whole multiple."""
        before, after = argument(node, 0, "input", None).meta["val"].shape[2:], node.meta["val"].shape[2:]
        return _chosen if any(many % few for few, many in zip(before, after, strict=True)) else None


def _chosen(x: Tensor, output_size: Sequence[int] | None, scale_factors: Sequence[float] | None = None) -> Tensor:
    """As PyTorch: the place floor(k · size / output_size), or by the factor where one is given."""
    import itertools
    import math

    import torch

    for axis in (2, 3):
        size = x.shape[axis]
        factor = scale_factors[axis - 2] if scale_factors is not None else None
        count = math.floor(size * factor) if factor is not None else (output_size or ())[axis - 2]
        ratio = 1 / factor if factor is not None else size / count
        places = [min(size - 1, math.floor(k * ratio)) for k in range(count)]
        if places == [*range(size)]:
            continue
        steps = {later - earlier for earlier, later in itertools.pairwise(places)}
        if len(steps) == 1 and places[0] == 0:
            x = x[(slice(None),) * axis + (slice(0, places[-1] + 1, steps.pop()),)]
        else:
            x = torch.cat([x.narrow(axis, place, 1) for place in places], axis)
    return x
