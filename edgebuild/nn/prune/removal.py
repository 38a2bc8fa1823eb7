"""What layers lose together with some channels: taken out of them, or silenced in them for comparison."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Part:
    """One side of a layer (or a bare parameter) in a dependency group, by its name in the model.

    prune: torch-pruning's function for that side, which takes a layer and places
    axis: the axis of channels, where the function must be told it
    places, channels: place `places[k]` on that side belongs to the group's channel `channels[k]`
    """

    name: str
    prune: Callable[[Any, list[int]], Any]
    axis: int
    places: tuple[int, ...]
    channels: tuple[int, ...]

    def of(self, channels: Collection[int]) -> Part:
        """What of it belongs to these channels."""
        pairs = [pair for pair in zip(self.places, self.channels, strict=True) if pair[1] in channels]
        return Part(self.name, self.prune, self.axis, tuple(p for p, _ in pairs), tuple(c for _, c in pairs))


def names(module: nn.Module) -> dict[Any, str]:
    """The names of all layers and parameters."""
    layers: dict[Any, str] = {part: name for name, part in module.named_modules()}
    return layers | {parameter: name for name, parameter in module.named_parameters()}


def parts(group: Any, known: Mapping[Any, str]) -> tuple[Part, ...]:
    """The layers and parameters of a torch-pruning group; its own helpers, which have no weights, are left out."""
    return tuple(
        Part(
            known[item.dep.target.module],
            item.dep.handler,
            item.dep.target.pruning_dim,
            tuple(item.idxs),
            tuple(item.root_idxs),
        )
        for item in group
        if item.dep.target.module in known
    )


def take_out(module: nn.Module, lost: Iterable[Part]) -> None:
    """Remove the places from the layers of these names; IndexError for places that they do not have.

    All that one side of a layer loses goes at once, for the places of what is left move.
    """
    from torch import nn

    for part in _joined(lost):
        owner, leaf, layer = _located(module, part.name)
        places, pruner = sorted({*part.places}), part.prune.__self__  # type: ignore[attr-defined]
        pruner.pruning_dim = part.axis
        inward = part.prune.__name__ == "prune_in_channels"
        count = pruner.get_in_channels(layer) if inward else pruner.get_out_channels(layer)
        if count is not None and not (places[0] >= 0 and places[-1] < count and len(places) < count):
            raise IndexError(f"places {places[0]} to {places[-1]} of {part.name!r}, which has {count}")
        changed = part.prune(layer, places)
        if isinstance(layer, nn.Parameter):
            setattr(owner, leaf, changed)


def silence(module: nn.Module, lost: Iterable[Part]) -> None:
    """Make the places say nothing and read nothing, in place: what is left must answer as if they had been taken out.

    Norms over channels then take their mean and variance over what is left alone.
    """
    import torch
    from torch import nn

    for part in _joined(lost):
        layer, places = _located(module, part.name)[2], torch.tensor(sorted({*part.places}))
        if isinstance(layer, nn.Parameter):
            layer.data.index_fill_(part.axis, places, 0)
        elif isinstance(layer, nn.LayerNorm | nn.GroupNorm):
            layer.register_forward_hook(_over_the_rest(layer, places))
        elif isinstance(layer, nn.RNNBase):
            for name, weight in layer.named_parameters():
                if name.startswith("weight_ih_l0"):
                    weight.data[:, places] = 0
        elif isinstance(layer, nn.Embedding):
            layer.weight.data[:, places] = 0
        elif part.prune.__name__ == "prune_in_channels":
            _deafen(layer, places)
        else:
            _mute(layer, places)


def _joined(lost: Iterable[Part]) -> list[Part]:
    """One part for each side of a layer, and none without places."""
    found: dict[tuple[str, Any], Part] = {}
    for part in lost:
        key, before = (part.name, part.prune), found.get((part.name, part.prune))
        places = (*before.places, *part.places) if before else part.places
        found[key] = Part(part.name, part.prune, part.axis, places, ())
    return [part for part in found.values() if part.places]


def _located(module: nn.Module, name: str) -> tuple[nn.Module, str, Any]:
    """Who holds the layer or parameter, under which attribute, and itself."""
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    return owner, leaf, getattr(owner, leaf) if leaf else owner


def _deafen(layer: Any, places: Tensor) -> None:
    """A convolution or linear layer reads these inputs no more."""
    weight, groups = layer.weight.data, getattr(layer, "groups", 1)
    if getattr(layer, "transposed", False):
        weight[places] = 0
        return
    outputs, inputs = len(weight) // groups, weight.shape[1]
    for place in places.tolist():
        first = place // inputs * outputs
        weight[first : first + outputs, place % inputs] = 0


def _mute(layer: Any, places: Tensor) -> None:
    """A layer says nothing in these channels."""
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    turned = getattr(layer, "transposed", False) and layer.groups == 1
    if weight is not None and weight.numel() > 1:
        weight.data.index_fill_(1 if turned else 0, places, 0)
    if bias is not None:
        bias.data[places] = 0


def _over_the_rest(norm: Any, places: Tensor) -> Callable[..., Tensor]:
    """A hook that answers for a norm: of what is left of its channels, and 0 in the others."""
    import torch
    from torch import nn

    weight = getattr(norm, "weight", None)
    count = norm.normalized_shape[-1] if isinstance(norm, nn.LayerNorm) else norm.num_channels
    stays = torch.ones(count, dtype=torch.bool).index_fill_(0, places, False)
    scale, shift = (None if value is None else value[stays] for value in (weight, getattr(norm, "bias", None)))

    def answer(_: nn.Module, inputs: tuple[torch.Tensor, ...], __: Tensor) -> Tensor:
        found = torch.zeros_like(inputs[0])
        if isinstance(norm, nn.LayerNorm):
            width = (int(stays.sum()),)
            found[..., stays] = nn.functional.layer_norm(inputs[0][..., stays], width, scale, shift, norm.eps)
        else:
            found[:, stays] = nn.functional.group_norm(inputs[0][:, stays], norm.num_groups, scale, shift, norm.eps)
        return found

    return answer
