"""Matrices with ones on their diagonal that a forward pass makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class IdentityMatrix(Rewrite):
    """An identity matrix compares the numbers of rows and columns, which runs before the file is written."""

    operators: ClassVar[tuple[str, ...]] = ("eye.default", "eye.m")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where its sizes are numbers."""
        return _compared if all(isinstance(size, int) for size in node.args) else None


def _compared(rows: int, columns: int | None = None, **options: Any) -> Tensor:
    import torch

    across = torch.arange(rows if columns is None else columns)
    return (torch.arange(rows)[:, None] == across).to(options.get("dtype") or torch.get_default_dtype())
