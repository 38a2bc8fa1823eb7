"""How important channels are: criteria that map a dependency group to one score a channel, the least to go first.

A group is torch-pruning's: layers that must lose the same channels, and for each item which of its indices belong to
which channel of the group. A criterion that says nothing about a group gives None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgebuild.nn.train import training
from edgebuild.spec.dataset import Split
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.train.training import Loss

    Importance = Callable[[Any], Tensor | None]

Name = Literal["magnitude", "random", "taylor", "batch_norm", "apoz", "mean_activation", "stability"]
DATA_FREE: tuple[Name, ...] = ("magnitude", "random", "batch_norm")

_RESAMPLES = 32


@dataclass(frozen=True, slots=True)
class Subject:
    """What a criterion may look at; `examples` and `loss` are asked for only by those that need them."""

    module: nn.Module
    examples: Callable[[], Split]
    loss: Callable[[], Loss]
    norm: int
    seed: int


def criterion(name: Name, subject: Subject) -> Importance:
    """The criterion of this name, ready for every group of the module."""
    makers: dict[Name, Callable[[Subject], Importance]] = {
        "magnitude": magnitude,
        "random": random,
        "taylor": taylor,
        "batch_norm": batch_norm,
        "apoz": apoz,
        "mean_activation": mean_activation,
        "stability": stability,
    }
    return makers[name](subject)


def magnitude(subject: Subject) -> Importance:
    """The mean over the group's layers of Σ|w|^p of a channel, relative to the group's mean (Fang et al. 2023, eq. 5).

    For one layer without its dependants it is the filter norm of Li et al. 2017.
    """
    import torch_pruning

    score = torch_pruning.importance.GroupMagnitudeImportance(p=subject.norm, normalizer=None)
    return lambda group: _relative(_by_layers(score, group))


def random(subject: Subject) -> Importance:
    """Uniform in [0, 1) from torch's own generator: the baseline that every other criterion must beat."""
    import torch_pruning

    found: Importance = torch_pruning.importance.RandomImportance()
    return found


def taylor(subject: Subject) -> Importance:
    """Σ|w·∂L/∂w| of a channel, the mean over the group's layers (Molchanov et al. 2019, equation 8).

    UsageError when the examples' loss does not depend on a layer: its channels would go in no order.
    """
    import torch_pruning

    training.gradients(subject.module, subject.examples(), subject.loss())
    names = {part: name for name, part in subject.module.named_modules()}
    score = torch_pruning.importance.GroupTaylorImportance(normalizer=None)

    def importance(group: Any) -> Tensor | None:
        weights = {item.dep.target.module: getattr(item.dep.target.module, "weight", None) for item in group}
        for layer, weight in weights.items():
            if weight is not None and (weight.grad is None or not weight.grad.any()):
                told = f"the loss does not depend on {names.get(layer)!r} for these examples"
                raise UsageError(told, option="criterion", hint="take another criterion, or name the layer in keep")
        return _relative(_by_layers(score, group))

    return importance


def batch_norm(subject: Subject) -> Importance:
    """|γ| of the batch norms behind a channel (Liu et al. 2017); says nothing about groups without any."""
    import torch_pruning
    from torch import nn

    kinds = [nn.modules.batchnorm._BatchNorm]
    score = torch_pruning.importance.GroupMagnitudeImportance(p=1, normalizer=None, target_types=kinds)
    return lambda group: _by_layers(score, group)


def apoz(subject: Subject) -> Importance:
    """1 − the share of zeros among a channel's activations (APoZ, Hu et al. 2016, equation 1).

    Says nothing where no activation is ever zero, as behind GELU or a linear bottleneck.
    """
    seen = observe(subject.module, subject.examples())

    def importance(group: Any) -> Tensor | None:
        zeros = _by_channel(group, seen.zeros)
        return None if zeros is None or not zeros.any() else 1 - zeros.mean(0)

    return importance


def mean_activation(subject: Subject) -> Importance:
    """The mean of a channel's |activation| (Molchanov et al. 2017, section 2.2), relative to the group's mean."""
    seen = observe(subject.module, subject.examples())

    def importance(group: Any) -> Tensor | None:
        strength = _by_channel(group, seen.strength)
        return None if strength is None else _relative(strength.mean(0))

    return importance


def stability(subject: Subject) -> Importance:
    """1 − the spread of a channel's rank by mean |activation| over resampled examples, in units of the largest spread.

    A channel whose importance depends on which examples were drawn has learnt them rather than the task. The resamples
    are bootstraps (Efron 1979), the spread is the standard deviation of the rank.
    """
    import torch

    seen = observe(subject.module, subject.examples())
    generator = torch.Generator().manual_seed(subject.seed)

    def importance(group: Any) -> Tensor | None:
        strength = _by_channel(group, seen.strength)
        if strength is None:
            return None
        drawn = torch.randint(len(strength), (_RESAMPLES, len(strength)), generator=generator)
        ranks = torch.stack([strength[rows].mean(0).argsort(stable=True).argsort() for rows in drawn])
        spread = ranks.double().std(0)
        return 1 - spread / spread.max().clamp(min=1)

    return importance


@dataclass(frozen=True, slots=True)
class Activations:
    """What convolutions and linear layers were given: mean |a| and share of zeros, [N, channels or features] each."""

    strength: dict[nn.Module, Tensor]
    zeros: dict[nn.Module, Tensor]


def observe(module: nn.Module, data: Split) -> Activations:
    """Run all examples through the module in eval mode and note what its layers are given: values after activation."""
    import torch
    from torch import nn

    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    found: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}

    def note(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        values = inputs[0].detach()
        features = 1 if isinstance(layer, kinds[0]) else -1
        by_row = values.movedim(features, 1).flatten(2) if values.ndim > 2 else values[:, :, None]
        found.setdefault(layer, []).append((by_row.abs().mean(2), (by_row == 0).float().mean(2)))

    hooks = [part.register_forward_pre_hook(note) for part in module.modules() if isinstance(part, kinds)]
    with torch.no_grad():
        for inputs, _ in training.in_order(data):
            module.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    joined = {layer: [torch.cat(parts) for parts in zip(*pairs, strict=True)] for layer, pairs in found.items()}
    return Activations({layer: pair[0] for layer, pair in joined.items()}, {k: pair[1] for k, pair in joined.items()})


def _by_layers(score: Callable[[Any], Tensor | None], group: Any) -> Tensor | None:
    """[channels of the group]: the mean of a score over the layers that a channel touches, the sum within a layer.

    Layer by layer, for one behind a `chunk` or `split` has a part of the channels, under numbers of its own. None
    where the score says nothing about some channel.
    """
    import torch
    from torch_pruning.dependency import Group

    width = _width(group)
    total, layers = torch.zeros(width), torch.zeros(width)
    for item in group:
        alone = Group()
        alone.add_dep(item.dep, item.idxs)
        alone[0].root_idxs = [*range(len(item.idxs))]
        found, roots = score(alone), torch.tensor(item.root_idxs)
        if found is not None:
            total.index_add_(0, roots, found.to(total.dtype))
            layers[sorted({*item.root_idxs})] += 1
    return total / layers if bool(layers.all()) else None


def _relative(found: Tensor | None) -> Tensor | None:
    """Relative to the group's mean, so that groups can compete; a group of nothing but zeros stays that."""
    return None if found is None else found / (found.mean() or 1.0)


def _by_channel(group: Any, seen: dict[nn.Module, Tensor]) -> Tensor | None:
    """[N, channels of the group]: the mean over the layers that read a channel; None when no layer reads some channel.

    A linear layer behind a flatten reads several features of each channel: their mean. A layer behind a `chunk` or
    `split` reads some channels only, and counts for those alone.
    """
    import torch
    from torch import nn

    width = _width(group)
    parts = []
    for item in group:
        layer = item.dep.target.module
        reads = "in_channels" in item.dep.handler.__name__ and not _depthwise(layer)
        if reads and isinstance(layer, nn.Module) and layer in seen:
            values, roots = seen[layer][:, item.idxs], torch.tensor(item.root_idxs)
            sums = torch.zeros(len(values), width).index_add_(1, roots, values)
            counts = torch.zeros(width).index_add_(0, roots, torch.ones(len(roots)))
            parts.append((sums / counts.clamp(min=1), counts > 0))
    if len({len(values) for values, _ in parts}) != 1:
        return None
    readers = torch.stack([read for _, read in parts]).sum(0)
    return torch.stack([values for values, _ in parts]).sum(0) / readers if bool(readers.all()) else None


def _width(group: Any) -> int:
    """The number of channels of a group."""
    return 1 + max(int(channel) for item in group for channel in item.root_idxs)


def _depthwise(layer: Any) -> bool:
    return getattr(layer, "groups", 1) > 1
