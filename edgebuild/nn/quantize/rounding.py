"""A weight whose rounding up or down is learnt: AdaRound (Nagel et al., ICML 2020, equations 21 to 24)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.nn.quantize.fake_quant import step_size

if TYPE_CHECKING:
    from torch import Tensor

# The rectified sigmoid reaches 0 and 1 since it is stretched beyond both.
_ZETA, _GAMMA = 1.1, -0.1
# The share of steps without the rounding term, and its exponent at the start and at the end.
_WARMUP, _HOT, _COLD = 0.2, 20.0, 2.0


class Rounding:
    """W̃ = Δ·clip(⌊W/Δ⌋ + h(V), −n, n); `share` is V, with h(V) the weight's own fraction at first.

    The largest weight of each channel sets Δ and so stays; so do zeros, which pruning made.
    """

    def __init__(self, weight: Tensor, axis: int, bits: int) -> None:
        """Take a float weight and the axis along which each channel has its own Δ."""
        import torch

        self._most = 2 ** (bits - 1) - 1
        shape = [1] * weight.ndim
        shape[axis] = -1
        self._size = step_size(weight, axis, bits).view(shape)
        steps = (weight / self._size).clamp(-self._most, self._most)
        self._nearest = steps.round()
        self._fixed = (weight == 0) | (self._nearest.abs() == self._most)
        self._floor = steps.floor()
        fraction = (steps - self._floor).clamp(1e-4, 1 - 1e-4)
        self.share = (-torch.log((_ZETA - _GAMMA) / (fraction - _GAMMA) - 1)).requires_grad_(True)

    def up(self) -> Tensor:
        """h(V) = clip(σ(V)·(ζ − γ) + γ, 0, 1), equation 23."""
        return (self.share.sigmoid() * (_ZETA - _GAMMA) + _GAMMA).clamp(0, 1)

    def soft(self) -> Tensor:
        """The weight with roundings still between down and up."""
        return self._size * self._kept(self._floor + self.up())

    def hard(self) -> Tensor:
        """The weight with every rounding decided: on the grid."""
        return self._size * self._kept(self._floor + (self.up() >= 0.5)).detach()

    def nearest(self) -> Tensor:
        """The weight as rounding to nearest leaves it."""
        return self._size * self._nearest

    def undecided(self, done: float) -> Tensor:
        """Σ(1 − |2h − 1|^β), equation 24; β falls along a cosine as the share of steps `done` grows, zero at first."""
        import math

        if done < _WARMUP:
            return self.share.sum() * 0
        warm = 0.5 * (1 + math.cos(math.pi * (done - _WARMUP) / (1 - _WARMUP)))
        beta = _COLD + (_HOT - _COLD) * warm
        return (1 - (2 * self.up() - 1).abs().pow(beta)).sum()

    def _kept(self, steps: Tensor) -> Tensor:
        import torch

        return torch.where(self._fixed, self._nearest, steps.clamp(-self._most, self._most))
