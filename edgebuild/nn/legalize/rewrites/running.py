"""What grows along an axis: products, greatest, least and logarithms of sums of all values up to each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_LONGEST = 512  # of an axis, whose square is reckoned


class Running(Rewrite):
    """Running products, extremes and logarithms of sums are those of a square of which one half is left out."""

    operators: ClassVar[tuple[str, ...]] = (
        *("cumprod.default", "cummax.default", "cummin.default", "logcumsumexp.default"),
    )
    formats: ClassVar[Mapping[str, Trouble]] = {"onnx": "refused", "tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where the axis is not too long for its square."""
        shape, axis = argument(node, 0, "self", None).meta["val"].shape, argument(node, 1, "dim", -1)
        if not shape or shape[axis] > _LONGEST:
            return None
        function = {"cumprod": _product, "logcumsumexp": _logarithm, "cummax": _greatest, "cummin": _least}
        kind = function[str(node.target).split(".")[1]]
        return lambda x, *_, **__: kind(x, axis)


def _square(x: Tensor, axis: int, neutral: float) -> Tensor:
    """[…, n, n] of an axis of n: in a row all up to its place, and behind them what changes nothing."""
    import torch

    last = x.movedim(axis, -1).unsqueeze(-2)
    upto = torch.ones(x.shape[axis], x.shape[axis], dtype=torch.bool).tril()
    return torch.where(upto, last, torch.tensor(neutral, dtype=x.dtype))


def _product(x: Tensor, axis: int) -> Tensor:
    return _square(x, axis, 1.0).prod(-1).movedim(-1, axis)


def _logarithm(x: Tensor, axis: int) -> Tensor:
    import torch

    return _square(x, axis, torch.finfo(x.dtype).min).logsumexp(-1).movedim(-1, axis)


def _greatest(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """With the place of each, of equals the last, as PyTorch has it."""
    import torch

    square = _square(x, axis, torch.finfo(x.dtype).min)
    values = square.amax(-1, keepdim=True)
    places = torch.where(square == values, torch.arange(x.shape[axis]), 0).amax(-1)
    return values.squeeze(-1).movedim(-1, axis), places.movedim(-1, axis)


def _least(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    values, places = _greatest(-x, axis)
    return -values, places
