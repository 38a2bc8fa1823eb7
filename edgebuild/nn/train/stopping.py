"""Early stopping: a training ends when the validation loss has not fallen for some epochs, and the best is kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgebuild.nn.train.batches import in_order
from edgebuild.spec.rows import Split, Stored

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from edgebuild.nn.train.losses import Loss


class Best:
    """The module's state at its lowest validation loss, and for how many epochs there was no lower one."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.loss, self.waited = math.inf, 0
        self.state: dict[str, Tensor] = {}

    def see(self, loss: float, module: nn.Module) -> None:
        """Note what an epoch came to."""
        if loss < self.loss:
            self.loss, self.waited = loss, 0
            self.state = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        else:
            self.waited += 1

    def as_plain(self) -> dict[str, Any]:
        """All that it knows, to be kept on disk."""
        return {"loss": self.loss, "waited": self.waited, "state": self.state}

    def take(self, plain: dict[str, Any]) -> None:
        """Know what was kept."""
        self.loss, self.waited, self.state = plain["loss"], plain["waited"], plain["state"]


def validation_loss(module: nn.Module, data: Split | Stored, loss: Loss, device: torch.device) -> float:
    """The mean loss over all examples, in eval mode; the module is left in training mode."""
    import torch

    module.eval()
    total = 0.0
    with torch.no_grad():
        for inputs, labels in in_order(data):
            here = [tuple(tensor.to(device) for tensor in side) for side in (inputs, labels)]
            total += float(loss(module, here[0], here[1])) * len(inputs[0])
    module.train()
    return total / len(data)
