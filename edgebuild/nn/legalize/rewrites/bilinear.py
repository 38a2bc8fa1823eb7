"""Layers that are linear in each of two inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Bilinear(Rewrite):
    """A bilinear layer becomes a linear one of its first input, and a product with the second."""

    operators: ClassVar[tuple[str, ...]] = ("bilinear.default",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Always."""
        return _products


def _products(first: Tensor, second: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    outputs, inputs, others = weight.shape
    rows = first @ weight.transpose(0, 1).reshape(inputs, outputs * others)
    y = (rows.reshape(*first.shape[:-1], outputs, others) * second.unsqueeze(-2)).sum(-1)
    return y if bias is None else y + bias
