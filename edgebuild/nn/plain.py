"""Weights that are reckoned anew whenever they are used (weight norm, spectral norm, rows of a largest length) as plain
weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def plain(module: nn.Module) -> nn.Module:
    """The module itself, in evaluation, with every derived weight as a parameter under the weight's own name.

    Its answers stay as they are. What derives weights is for training alone (Salimans & Kingma 2016): in a network that
    is pruned, a norm over the inputs of a layer would change all that is left of its weights.
    """
    from torch import nn
    from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.nn.utils.weight_norm import WeightNorm

    module.eval()  # else a spectral norm goes a step on
    for part in [*module.modules()]:
        for hook in [*part._forward_pre_hooks.values()]:
            if isinstance(hook, WeightNorm):
                remove_weight_norm(part, hook.name)
            elif isinstance(hook, SpectralNorm):
                remove_spectral_norm(part, hook.name)
                _forget(part)
        if parametrize.is_parametrized(part):
            for name in [*part.parametrizations]:  # type: ignore[misc]
                parametrize.remove_parametrizations(part, name)
        if getattr(part, "max_norm", None) is not None and isinstance(part, nn.Embedding | nn.EmbeddingBag):
            _shorten(part)
    return module


def _shorten(part: nn.Embedding | nn.EmbeddingBag) -> None:
    """Every row as PyTorch writes it back when it is looked up, in the graph of no file."""
    import torch

    with torch.no_grad():
        every = torch.arange(len(part.weight), device=part.weight.device)
        torch.embedding_renorm_(part.weight.detach(), every, float(part.max_norm or 0), float(part.norm_type))
    part.max_norm = None


def _forget(part: nn.Module) -> None:
    """Removing a spectral norm leaves what reads its weights from files: PyTorch looks for that without its wrapper."""
    from torch.nn.utils.spectral_norm import SpectralNormLoadStateDictPreHook

    hooks = part._load_state_dict_pre_hooks
    for key, hook in [*hooks.items()]:
        if isinstance(getattr(hook, "hook", hook), SpectralNormLoadStateDictPreHook):
            del hooks[key]
