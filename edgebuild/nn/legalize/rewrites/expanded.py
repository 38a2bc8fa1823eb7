"""Values that are repeated along axes of pictures without being copied."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


# Operators that repeat a value of one place themselves.
_REPEATING = ("add.Tensor", "div.Tensor", "mul.Tensor", "sub.Tensor")


class Expanded(Rewrite):
    """`expand` in four axes is left to arithmetic behind it, or made in three: with channels last it is mixed up."""

    operators: ClassVar[tuple[str, ...]] = ("expand.default", "expand_as.default", "mul.Tensor")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "wrong"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where anything is repeated, also by a product with ones, which the converter takes for the same."""
        if str(node.target) == "aten.mul.Tensor":
            return _by_ones(node)
        own, sizes = node.all_input_nodes[0].meta["val"].shape, [*node.meta["val"].shape]
        if len(sizes) != 4 or len(own) != 4 or [*own] == sizes:
            return None
        if all(_repeats(user, node) for user in node.users):
            return lambda x, *_, **__: x
        return lambda x, *_, **__: _spread(x, sizes)


def _by_ones(node: fx.Node) -> Callable[..., Any] | None:
    ones = [str(getattr(each, "target", "")).startswith("aten.ones") for each in node.args]
    if sum(ones) != 1 or node.meta["val"].ndim != 4:
        return None
    place, sizes = ones.index(False), [*node.meta["val"].shape]
    value: Any = node.args[place]
    if not hasattr(value, "meta") or value.meta["val"].ndim != 4 or [*value.meta["val"].shape] == sizes:
        return None
    return lambda *factors, **_: _spread(factors[place], sizes)


def _spread(x: Tensor, sizes: list[int]) -> Tensor:
    """One axis after another, in three axes: pictures have four."""
    for axis, (own, size) in enumerate(zip(x.shape, sizes, strict=True)):
        if own != size:
            before, behind = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
            repeated = x.reshape(before, 1, behind).expand(before, size, behind)
            x = repeated.reshape(*x.shape[:axis], size, *x.shape[axis + 1 :])
    return x


def _repeats(user: fx.Node, node: fx.Node) -> bool:
    """Whether an operator gives the same to what is not repeated, for another of its values is as large.

    What works value by value on it alone (`1 - x`) hands it on.
    """
    import torch

    if user.op == "output":
        return False
    if user.all_input_nodes == [node] and torch.Tag.pointwise in getattr(user.target, "tags", ()):
        return bool(user.users) and all(_repeats(later, user) for later in user.users)
    others = [one for one in user.all_input_nodes if one is not node]
    as_large = any(one.meta["val"].shape == user.meta["val"].shape for one in others)
    return as_large and str(user.target).removeprefix("aten.") in _REPEATING
