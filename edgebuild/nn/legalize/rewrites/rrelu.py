"""Rectifiers whose slope is drawn while they are trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Rrelu(Rewrite):
    """A randomized rectifier has its mean slope once it is trained, and is a leaky one."""

    operators: ClassVar[tuple[str, ...]] = ("rrelu.default",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where it is not being trained."""
        return None if argument(node, 3, "training", False) else _leaky


def _leaky(
    x: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None
) -> Tensor:
    from torch.nn import functional

    return functional.leaky_relu(x, (lower + upper) / 2)
