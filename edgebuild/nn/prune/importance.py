"""How important units are: criteria that map a dependency group to one score a unit, the least to go first.

A criterion that says nothing about a group gives None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

from edgebuild.nn.train import batches, training
from edgebuild.spec.errors import UsageError
from edgebuild.spec.rows import Split

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.prune.dependencies import Group, Member
    from edgebuild.nn.train.losses import Loss

    Importance = Callable[[Group], Tensor | None]

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
    """The mean over the group's layers of Σ|w|^p of a unit, relative to the group's mean (Fang et al. 2023, eq. 5).

    For one layer without its dependants it is the filter norm of Li et al. 2017.
    """
    norms = _norms(subject.module)

    def importance(group: Group) -> Tensor | None:
        sides = [one for one in group.members if one.role != "treats" or one.parameter in norms]
        return _relative(_by_layers(group, sides, lambda one: _held(subject, one).abs().pow(subject.norm)))

    return importance


def random(subject: Subject) -> Importance:
    """Uniform in [0, 1) from torch's own generator: the baseline that every other criterion must beat."""
    import torch

    return lambda group: torch.rand(len(group.units))


def taylor(subject: Subject) -> Importance:
    """Σ|w·∂L/∂w| of a unit, the mean over the group's layers without norms (Molchanov et al. 2019, equation 8).

    UsageError when the examples' loss does not depend on a layer: its channels would go in no order.
    """
    training.gradients(subject.module, subject.examples(), subject.loss())

    def weighed(side: Member) -> Tensor:
        weight = subject.module.get_parameter(side.parameter)
        if weight.grad is None or not weight.grad.any():
            message = f"the loss does not depend on {side.layer or side.parameter!r} for these examples"
            raise UsageError(message, option="criterion", hint="take another criterion, or name the layer in keep")
        return (weight.detach() * weight.grad).abs()

    def importance(group: Group) -> Tensor | None:
        sides = [one for one in group.members if one.role != "treats" and _is_learnt(subject, one)]
        return _relative(_by_layers(group, sides, weighed))

    return importance


def batch_norm(subject: Subject) -> Importance:
    """|γ| of the batch norms behind a channel (Liu et al. 2017); says nothing about groups without any."""
    from torch import nn

    norms = _norms(subject.module, nn.modules.batchnorm._BatchNorm)

    def importance(group: Group) -> Tensor | None:
        sides = [one for one in group.members if one.parameter in norms]
        return _by_layers(group, sides, lambda one: _held(subject, one).abs())

    return importance


def apoz(subject: Subject) -> Importance:
    """1 − the share of zeros among a channel's activations (APoZ, Hu et al. 2016, equation 1).

    Says nothing where no activation is ever zero, as behind GELU or a linear bottleneck.
    """
    seen = observe(subject.module, subject.examples())

    def importance(group: Group) -> Tensor | None:
        zeros = _by_unit(subject.module, group, seen.zeros)
        return None if zeros is None or not zeros.any() else 1 - zeros.mean(0)

    return importance


def mean_activation(subject: Subject) -> Importance:
    """The mean of a channel's |activation| (Molchanov et al. 2017, section 2.2), relative to the group's mean."""
    seen = observe(subject.module, subject.examples())

    def importance(group: Group) -> Tensor | None:
        strength = _by_unit(subject.module, group, seen.strength)
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

    def importance(group: Group) -> Tensor | None:
        strength = _by_unit(subject.module, group, seen.strength)
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
    seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}

    def note(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        values = inputs[0].detach()
        features = 1 if isinstance(layer, kinds[0]) else -1
        by_row = values.movedim(features, 1).flatten(2) if values.ndim > 2 else values[:, :, None]
        seen.setdefault(layer, []).append((by_row.abs().mean(2), (by_row == 0).float().mean(2)))

    hooks = [part.register_forward_pre_hook(note) for part in module.modules() if isinstance(part, kinds)]
    with torch.no_grad():
        for inputs, _ in batches.in_order(data):
            module.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    joined = {layer: [torch.cat(parts) for parts in zip(*pairs, strict=True)] for layer, pairs in seen.items()}
    return Activations({layer: pair[0] for layer, pair in joined.items()}, {k: pair[1] for k, pair in joined.items()})


def _norms(module: nn.Module, *kinds: Any) -> set[str]:
    """The names of the scales of norms: of these kinds, or of batch and layer norms."""
    from torch import nn

    classes = kinds or (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.RMSNorm)
    return {f"{name}.weight".removeprefix(".") for name, part in module.named_modules() if isinstance(part, classes)}


def _held(subject: Subject, side: Member) -> Tensor:
    values: Tensor = attrgetter(side.parameter)(subject.module)  # a buffer where a layer's weights are not learnt
    return values.detach()


def _is_learnt(subject: Subject, side: Member) -> bool:
    from torch import nn

    return isinstance(attrgetter(side.parameter)(subject.module), nn.Parameter)


def _by_layers(group: Group, sides: Sequence[Member], weighed: Callable[[Member], Tensor]) -> Tensor | None:
    """[units]: the mean of what a parameter's elements weigh over the layers that a unit touches, summed within each.

    A layer behind a `chunk` or `split` may have no place of some unit, and counts for the others. None where no layer
    has any of some unit.
    """
    import torch

    total, layers = torch.zeros(len(group.units)), torch.zeros(len(group.units))
    for side in sides:
        rows = weighed(side).movedim(side.axis, 0).flatten(1) if weighed(side).ndim > 1 else weighed(side)[:, None]
        places, owners = _flat(side)
        sums = torch.zeros(len(total)).index_add_(0, owners, rows.sum(1)[places].to(total.dtype))
        total += sums
        layers[sorted({*owners.tolist()})] += 1
    return total / layers if bool(layers.all()) else None


def _flat(side: Member) -> tuple[Tensor, Tensor]:
    """All places of a member, and the units to which they belong."""
    import torch

    pairs = [(place, unit) for unit, places in enumerate(side.places) for place in places]
    flat = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)
    return flat[:, 0], flat[:, 1]


def _relative(scores: Tensor | None) -> Tensor | None:
    """Relative to the group's mean, so that groups can compete; a group of nothing but zeros stays that."""
    return None if scores is None else scores / (scores.mean() or 1.0)


def _by_unit(module: nn.Module, group: Group, seen: dict[nn.Module, Tensor]) -> Tensor | None:
    """[N, units of the group]: the mean over the layers that read a unit; None when no layer reads some unit.

    A linear layer behind a flatten reads several features of each channel: their mean. A layer behind a `chunk` or
    `split` reads some channels only, and counts for those alone.
    """
    import torch

    width = len(group.units)
    parts = []
    for side in (one for one in group.members if one.role == "reads"):
        layer = module.get_submodule(side.layer)
        if layer in seen and getattr(layer, "groups", 1) == 1:
            places, owners = _flat(side)
            values = seen[layer][:, places]
            sums = torch.zeros(len(values), width).index_add_(1, owners, values)
            counts = torch.zeros(width).index_add_(0, owners, torch.ones(len(owners)))
            parts.append((sums / counts.clamp(min=1), counts > 0))
    if len({len(values) for values, _ in parts}) != 1:
        return None
    readers = torch.stack([read for _, read in parts]).sum(0)
    return torch.stack([values for values, _ in parts]).sum(0) / readers if bool(readers.all()) else None
