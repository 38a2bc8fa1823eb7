"""The mean of the weights along a training: exponential (EMA), or of the last epochs (SWA)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.spec.model import Averaging

_DECAY = 0.999
_LAST = 0.25  # share of the epochs whose ends SWA takes the mean of


class Averaged:
    """Parameters as their mean so far; what is no parameter (counts, statistics, ranges) is as it is at the end.

    EMA: m ← d·m + (1 − d)·w after each step t, with d = min(0.999, (1 + t)/(10 + t)), so that the first steps are
    forgotten (Polyak & Juditsky 1992; the warm-up is TensorFlow's). SWA: the plain mean of the weights at the ends of
    the last quarter of the epochs (Izmailov et al. 2018), along the training's own falling rate.
    """

    def __init__(self, how: Averaging, steps: int, per_epoch: int) -> None:
        """For a training of so many steps; None averages nothing."""
        self.how, self.per_epoch = how, per_epoch
        self.first = steps - max(1, round(steps / per_epoch * _LAST)) * per_epoch
        self.count = 0
        self.mean: dict[str, Tensor] = {}

    def see(self, step: int, module: nn.Module) -> None:
        """Take in the weights after so many steps, where they count."""
        if self.how == "ema":
            self._add(module, 1 - min(_DECAY, (1 + self.count) / (10 + self.count)) if self.mean else 1.0)
        elif self.how == "swa" and step > self.first and step % self.per_epoch == 0:
            self._add(module, 1 / (self.count + 1))

    def _add(self, module: nn.Module, share: float) -> None:
        self.count += 1
        for name, parameter in module.named_parameters():
            value = parameter.detach()
            self.mean[name] = self.mean[name].lerp(value, share) if name in self.mean else value.clone()

    def state(self, module: nn.Module) -> dict[str, Tensor]:
        """The module's state with the mean in it."""
        return {name: self.mean.get(name, tensor).detach().clone() for name, tensor in module.state_dict().items()}

    def as_plain(self) -> dict[str, Any]:
        """All that it knows, to be kept on disk."""
        return {"count": self.count, "mean": self.mean}

    def take(self, plain: dict[str, Any]) -> None:
        """Know what was kept."""
        self.count, self.mean = plain["count"], plain["mean"]
