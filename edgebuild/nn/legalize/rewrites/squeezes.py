"""Axes that are squeezed although they have several elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, each
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import fx


class Squeezes(Rewrite):
    """Axes of several elements, which `squeeze` leaves alone, are not named to it: a file with these does not load."""

    operators: ClassVar[tuple[str, ...]] = ("squeeze.dim", "squeeze.dims")
    formats: ClassVar[Mapping[str, Trouble]] = {"onnx": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where one of them is named."""
        shape = node.args[0].meta["val"].shape  # type: ignore[union-attr]
        named = each(argument(node, 1, "dim", ()), 1) if len(shape) else ()
        if all(shape[axis] == 1 for axis in named):
            return None
        kept = [axis for axis in named if shape[axis] == 1]
        return (lambda x, *_, **__: x.squeeze(kept)) if kept else (lambda x, *_, **__: x.view(x.shape))
