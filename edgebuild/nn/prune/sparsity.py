"""Single weights: how important each is, and which of them are set to zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    Parameters = Mapping[str, nn.Parameter]
    Scores = dict[str, Tensor]  # how important each weight is, ≥ 0, in the parameters' shapes
    Masks = dict[str, Tensor]  # what goes, in the same shapes


def matrices(module: nn.Module) -> dict[str, nn.Parameter]:
    """Matrices and kernels of the convolutions, linear, recurrent and attention layers, by name; tied ones once."""
    from torch import nn

    kinds = (nn.modules.conv._ConvNd, nn.Linear, nn.RNNBase, nn.MultiheadAttention)
    owners = {name for name, part in module.named_modules() if isinstance(part, kinds)}
    named = module.named_parameters()
    return {name: p for name, p in named if p.ndim > 1 and name.rpartition(".")[0] in owners}


def magnitude(parameters: Parameters) -> Scores:
    """|w| (Han et al. 2015). Of single weights the L1 and the L2 norm are the same."""
    return {name: weight.detach().abs() for name, weight in parameters.items()}


def random(parameters: Parameters) -> Scores:
    """Uniform in [0, 1) from torch's own generator: the baseline that every other criterion must beat."""
    import torch

    return {name: torch.rand(weight.shape) for name, weight in parameters.items()}


def taylor(parameters: Parameters) -> Scores:
    """|w·∂L/∂w| from the gradients that are there: first-order change of the loss (Molchanov et al. 2019).

    UsageError when the examples reach a layer with no gradient at all: its weights would go in no order.
    """
    return {name: (weight.detach() * _gradient(name, weight)).abs() for name, weight in parameters.items()}


def _gradient(name: str, weight: nn.Parameter) -> Tensor:
    if weight.grad is None or not weight.grad.any():
        message = f"the loss does not depend on {name!r} for these examples, so its gradient says nothing"
        raise UsageError(message, option="criterion", hint="take another criterion, or name the layer in keep")
    return weight.grad


def smallest(scores: Tensor, weight: Tensor, count: int) -> Tensor:
    """Where the `count` weights of least score are, as a mask; what is zero already goes first.

    Ties go in the order of memory, so that the same scores give the same mask.
    """
    import torch

    ranked = torch.where(weight == 0, -1.0, scores).flatten()
    mask = torch.zeros(ranked.shape, dtype=torch.bool)
    mask[ranked.argsort(stable=True)[:count]] = True
    return mask.view(scores.shape)


def least_of_each(scores: Scores, parameters: Parameters, ratios: Mapping[str, float]) -> Masks:
    """Of each layer its own ratio, to the nearest weight."""
    return {
        name: smallest(scores[name], parameters[name].detach(), round(ratio * scores[name].numel()))
        for name, ratio in ratios.items()
    }


def least_of_all(scores: Scores, parameters: Parameters, ratio: float) -> Masks:
    """The least of all layers together."""
    import torch

    flat = torch.cat([score.flatten() for score in scores.values()])
    weights = torch.cat([parameters[name].detach().flatten() for name in scores])
    sizes = [score.numel() for score in scores.values()]
    parts = torch.split(smallest(flat, weights, round(ratio * flat.numel())), sizes)
    return {name: part.view(scores[name].shape) for name, part in zip(scores, parts, strict=True)}


def below(threshold: float, parameters: Parameters) -> Masks:
    """|w| ≤ threshold (Han et al. 2015)."""
    return {name: weight.detach().abs() <= threshold for name, weight in parameters.items()}


def n_of_m(scores: Tensor, kept: int, of: int) -> Tensor:
    """What goes when of every `of` neighbours along the inputs the best `kept` stay.

    Axis 1 of [outputs, inputs, …] is what sparse tensor cores read in fours (Mishra et al. 2021, section 3); its
    length must be a multiple of `of`.
    """
    import torch

    last = scores.movedim(1, -1)
    blocks = last.reshape(-1, of)
    best = blocks.argsort(dim=1, descending=True, stable=True)[:, :kept]
    mask = torch.ones(blocks.shape, dtype=torch.bool).scatter_(1, best, False)
    return mask.view(last.shape).movedim(-1, 1)


def remove(parameters: Parameters, masks: Masks) -> None:
    """Set to zero what goes; UsageError when nothing of a layer would stay."""
    for name, mask in masks.items():
        if not (parameters[name].detach().masked_fill(mask, 0)).any():
            message = f"all {mask.numel()} weights of {name!r} would be removed"
            raise UsageError(message, hint="lower the ratio or threshold, or name the layer in keep")
    for name, mask in masks.items():
        parameters[name].data.masked_fill_(mask, 0)
