"""Borders that repeat what is inside, by gathering it place by place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Borders(Rewrite):
    """Circular, replicated and 1-D or 3-D reflected borders are slices put together, or mirrored as in a picture."""

    operators: ClassVar[tuple[str, ...]] = ("pad.default",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "slow"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Of borders that are put on; a picture that is mirrored has an operator of its own."""
        sides, mode = argument(node, 1, "pad", ()), argument(node, 2, "mode", "constant")
        picture = mode == "reflect" and len(sides) == 4 and node.meta["val"].ndim == 4
        return _bordered if mode != "constant" and not picture and min(sides) >= 0 else None


def _bordered(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    put = {"circular": _circular, "replicate": _replicated, "reflect": _reflected}[mode]
    for k in range(len(pad) // 2):
        if pad[2 * k] or pad[2 * k + 1]:
            x = put(x, x.ndim - 1 - k, pad[2 * k], pad[2 * k + 1])
    return x


def _circular(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    import torch

    size = x.shape[axis]
    parts = [x.narrow(axis, size - before, before)] if before else []
    return torch.cat([*parts, x, *([x.narrow(axis, 0, after)] if after else [])], axis)


def _replicated(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    import torch

    first, last = x.narrow(axis, 0, 1), x.narrow(axis, x.shape[axis] - 1, 1)
    return torch.cat([*[first] * before, x, *[last] * after], axis)


def _reflected(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Seen as a picture whose height is that axis."""
    from torch.nn import functional

    shape = [*x.shape]
    flat = x.reshape(1, -1, shape[axis], math.prod(shape[axis + 1 :]))
    shape[axis] += before + after
    return functional.pad(flat, (0, 0, before, after), "reflect").reshape(shape)
