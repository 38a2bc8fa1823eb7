"""Values that are repeated along axes of pictures without being copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import fx


# Operators that repeat a value of one place themselves.
_REPEATING = ("add.Tensor", "div.Tensor", "mul.Tensor", "sub.Tensor")


class Expanded(Rewrite):
    """`expand` in four axes is left to the arithmetic behind it, or made in five: with channels last it is mixed up."""

    operators: ClassVar[tuple[str, ...]] = ("expand.default", "expand_as.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "wrong"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where anything is repeated."""
        own, sizes = node.all_input_nodes[0].meta["val"].shape, [*node.meta["val"].shape]
        if len(sizes) != 4 or len(own) != 4 or [*own] == sizes:
            return None
        if all(_repeats(user, node) for user in node.users):
            return lambda x, *_, **__: x
        return lambda x, *_, **__: x.unsqueeze(0).expand(1, *sizes).squeeze(0)


def _repeats(user: fx.Node, node: fx.Node) -> bool:
    """Whether an operator gives the same to what is not repeated, for another of its values is as large."""
    others = [one for one in user.all_input_nodes if one is not node]
    as_large = any(one.meta["val"].shape == user.meta["val"].shape for one in others)
    return as_large and str(user.target).removeprefix("aten.") in _REPEATING
