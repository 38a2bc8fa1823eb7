"""What a module of somebody's becomes before anything is done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebuild.nn.answers import in_order

if TYPE_CHECKING:
    from torch import nn


def usable(module: nn.Module) -> nn.Module:
    """The module, answering with a plain tuple of tensors and computing attention as it is trained and exported.

    PyTorch's fused attention in eval mode, which is turned off for the process, packs examples by their padding: it
    fails where one is nothing but padding, as zeros often are, and what it packs can be neither traced nor pruned. Nor
    can its looking at the values of a mask, which goes on to the same answers whatever it finds.
    """
    import torch

    torch.backends.mha.set_fastpath_enabled(False)
    torch.nn.modules.transformer._detect_is_causal_mask = _said_to_be_causal
    module.register_forward_hook(in_order)
    return module


def _said_to_be_causal(mask: Any, is_causal: bool | None = None, size: int | None = None) -> bool:
    """In the place of PyTorch's own, which compares the mask with a causal one where nobody says what it is."""
    return bool(is_causal)
