"""Running statistics of batch norms, estimated anew: mixed or moved weights make others of the same examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.nn.train import batches
from edgebuild.spec import drawing
from edgebuild.spec.rows import Split, Stored

if TYPE_CHECKING:
    import torch
    from torch import nn

_MOST = 2048  # examples, enough for means and variances of channels


def estimate(module: nn.Module, data: Split | Stored, device: torch.device | None = None, size: int = 64) -> None:
    """Set every batch norm's mean and variance to those over training examples, drawn at random, always the same.

    The plain mean over batches (Izmailov et al. 2018, section 3.2). Nothing to do without batch norms. The module is
    left in eval mode.
    """
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [each for each in module.modules() if isinstance(each, _BatchNorm) and each.track_running_stats]
    module.eval()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.train()
    rows = drawing.chosen(len(data), min(_MOST, len(data)))
    with torch.no_grad():
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            if len(part) > 1:  # of one example there is no variance
                inputs, _ = batches.tensors(data.take(part))
                module(*(each.to(device) for each in inputs))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()
