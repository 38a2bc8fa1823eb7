"""What a module of somebody's becomes before anything is done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.nn.answers import in_order

if TYPE_CHECKING:
    from torch import nn


def usable(module: nn.Module) -> nn.Module:
    """The module, answering with a plain tuple of tensors and computing attention as it is trained and exported.

    PyTorch's fused attention in eval mode, which is turned off for the process, packs examples by their padding: it
    fails where one is nothing but padding, as zeros often are, and what it packs can be neither traced nor pruned.
    """
    import torch

    torch.backends.mha.set_fastpath_enabled(False)
    module.register_forward_hook(in_order)
    return module
