"""Maximum pools that are told how many windows there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import getitem
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import each
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class AdaptiveMax(Rewrite):
    """An adaptive maximum pool becomes a plain one where its windows are equal, else the maximum of each window."""

    operators: ClassVar[tuple[str, ...]] = ("adaptive_max_pool1d.default", "adaptive_max_pool2d.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"onnx": "refused", "tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where nobody asks for the places of the maxima."""
        readers = [user for user in node.users if user.users or user.target is not getitem]
        return _windows if all(user.target is getitem and user.args[1] == 0 for user in readers) else None


def _windows(x: Tensor, output_size: int | Sequence[int]) -> tuple[Tensor, Tensor]:
    """The maxima, and in the place of their places, for which nobody asks, the same."""
    import torch

    axes = x.ndim - 2
    counts, sizes = each(output_size, axes), [*x.shape[2:]]
    if all(size % count == 0 for size, count in zip(sizes, counts, strict=True)):
        pool = torch.max_pool1d if axes == 1 else torch.max_pool2d
        y = pool(x, [size // count for size, count in zip(sizes, counts, strict=True)])
        return y, y
    for axis, (size, count) in enumerate(zip(sizes, counts, strict=True), 2):
        ends = [(k * size // count, -(-(k + 1) * size // count)) for k in range(count)]
        x = torch.cat([x.narrow(axis, first, last - first).amax(axis, keepdim=True) for first, last in ends], axis)
    return x, x
