"""Numbers of classes as vectors of zeros with a one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class OneHot(Rewrite):
    """A vector with a one at a number compares that number with all: whether it is one of them is not asked."""

    operators: ClassVar[tuple[str, ...]] = ("one_hot.default",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where it is known how many there are."""
        count = node.meta["val"].shape[-1]
        return (lambda x, *_, **__: _compared(x, count)) if isinstance(count, int) else None


def _compared(x: Tensor, count: int) -> Tensor:
    import torch

    return (x.unsqueeze(-1) == torch.arange(count)).to(torch.int64)
