"""Small whole powers of values in more axes than a file's power has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Powers(Rewrite):
    """A square or a cube of values in more than four axes is a product."""

    operators: ClassVar[tuple[str, ...]] = ("pow.Tensor_Scalar", "square.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where it is one."""
        power = argument(node, 1, "exponent", 2)
        return _product if node.meta["val"].ndim > 4 and power in (2, 3) else None


def _product(x: Tensor, exponent: float = 2) -> Tensor:
    return x * x if exponent == 2 else x * x * x
