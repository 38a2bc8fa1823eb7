"""Elementary functions that a file has no operator for, of those that it has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Elementary(Rewrite):
    """Powers of two, complementary error functions and values between two others are arithmetic."""

    operators: ClassVar[tuple[str, ...]] = (
        *("exp2.default", "erfc.default", "special_erfc.default"),
        *("lerp.Scalar", "lerp.Tensor"),
    )
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Of float values, each by its name."""
        name = str(node.target).removeprefix("aten.").partition(".")[0]
        named: dict[str, Callable[..., Any]] = {"exp2": _power, "lerp": _between}
        return named.get(name, _rest) if node.meta["val"].dtype.is_floating_point else None


def _power(x: Tensor) -> Tensor:
    return (x * math.log(2)).exp()


def _rest(x: Tensor) -> Tensor:
    return 1 - x.erf()


def _between(start: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    return start + weight * (end - start)
