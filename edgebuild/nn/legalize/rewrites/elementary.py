"""Elementary functions that a file has no operator for, of those that it has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Elementary(Rewrite):
    """A power of two is an exponential, and the complementary error function one without the error function."""

    operators: ClassVar[tuple[str, ...]] = ("exp2.default", "erfc.default", "special_erfc.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Of float values, each by its name."""
        if not node.meta["val"].dtype.is_floating_point:
            return None
        return _power if str(node.target).startswith("aten.exp2") else _rest


def _power(x: Tensor) -> Tensor:
    return (x * math.log(2)).exp()


def _rest(x: Tensor) -> Tensor:
    return 1 - x.erf()
