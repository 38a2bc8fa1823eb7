"""Functions of two values that no file has an operator for, of those that it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Hypotenuses(Rewrite):
    """A hypotenuse is the root of two squares, and the sign of another value asks whether that is below zero."""

    operators: ClassVar[tuple[str, ...]] = ("hypot.default", "copysign.Tensor", "copysign.Scalar")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused", "onnx": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Of float values."""
        function = _hypotenuse if str(node.target) == "aten.hypot.default" else _signed
        return function if node.meta["val"].dtype.is_floating_point else None


def _hypotenuse(x: Tensor, y: Tensor) -> Tensor:
    return (x * x + y * y).sqrt()


def _signed(x: Tensor, sign: Tensor | float) -> Tensor:
    """A negative zero is told by what one divided by it is; that of negative infinity is no number below zero."""
    import torch

    of = torch.as_tensor(sign, dtype=x.dtype)
    return torch.where((of < 0) | (1 / of < 0), -x.abs(), x.abs())
