"""Pictures made larger by whole factors, with the middle of each point in mind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class NearestExact(Rewrite):
    """`nearest-exact` by whole factors is what `nearest` gives, for which there is an operator."""

    operators: ClassVar[tuple[str, ...]] = ("_upsample_nearest_exact2d.vec",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "slow"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where each axis becomes a whole multiple."""
        before, after = argument(node, 0, "input", None).meta["val"].shape[2:], node.meta["val"].shape[2:]
        return None if any(many % few for few, many in zip(before, after, strict=True)) else _nearest


def _nearest(x: Tensor, output_size: Sequence[int] | None, scale_factors: Sequence[float] | None = None) -> Tensor:
    from torch.nn import functional

    size = output_size or [int(n * factor) for n, factor in zip(x.shape[2:], scale_factors or (), strict=True)]
    return functional.interpolate(x, size=tuple(size))
