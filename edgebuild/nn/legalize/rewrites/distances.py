"""Distances of all pairs of two sets of vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Distances(Rewrite):
    """Euclidean and city-block distances of pairs are reckoned from the differences of all of them."""

    operators: ClassVar[tuple[str, ...]] = ("cdist.default",)
    formats: ClassVar[Mapping[str, Trouble]] = {"onnx": "refused", "tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """For these two norms."""
        power = argument(node, 2, "p", 2.0)
        return (lambda x, y, *_, **__: _between(x, y, power)) if power in (1.0, 2.0) else None


def _between(x: Tensor, y: Tensor, power: float) -> Tensor:
    apart = x.unsqueeze(-2) - y.unsqueeze(-3)
    return apart.abs().sum(-1) if power == 1 else apart.square().sum(-1).sqrt()
