"""Channels that do nearly the same: how alike they are, and one of two made to speak for both.

Srinivas & Babu 2015, "Data-free parameter pruning", section 3: where units i and j have the same weights, j may go once
its outgoing weights are added to those of i. Here j's are added c times, c = ⟨a_i, a_j⟩ / ⟨a_i, a_i⟩ over examples at
the layer that reads both: 1 for the same weights, and their ratio for proportional ones behind a ReLU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.prune.units import Units, remove
from edgebuild.nn.train.training import in_order

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.spec.dataset import Split

_ROUNDING = 1e-9
_MIXING = ("Softmax", "LayerNorm", "GroupNorm")  # operators by which each channel depends on how many there are


@dataclass(frozen=True, slots=True)
class Pair:
    """Channel `gone` of some units is merged into `kept`; `cosine` is how alike they are."""

    kept: int
    gone: int
    cosine: float


def why_not(units: Units) -> str | None:
    """Why channels of these units cannot be merged, None when they can be."""
    if units.noun != "channels" or any(len(channels) > 1 for channels in units.members):
        return f"its {units.noun} go in groups"
    if any(len({*item.root_idxs}) < len(units.members) for item in units.group):
        return "some layer takes only a part of its channels"
    for item in units.group:
        kind, shown = type(item.dep.target.module).__name__, item.dep.target.name
        plain = kind.startswith("_") and not any(word in shown for word in _MIXING)  # torch-pruning's own: no weights
        if not (plain or _reads(item) or _makes(item)):
            return f"{shown if kind.startswith('_') else kind} treats its channels in a way that merging would change"
    return None if any(_reads(item) for item in units.group) else "no layer reads its channels"


def _reads(item: Any) -> bool:
    """Whether the item is a convolution or linear layer that takes the channels as inputs."""
    from torch import nn

    layer = item.dep.target.module
    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    inward = item.dep.handler.__name__ == "prune_in_channels"
    return isinstance(layer, kinds) and inward and getattr(layer, "groups", 1) == 1


def _makes(item: Any) -> bool:
    """Whether the item makes or scales each channel on its own."""
    from torch import nn

    layer = item.dep.target.module
    kinds = (nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._BatchNorm, nn.PReLU)
    return isinstance(layer, kinds) and item.dep.handler.__name__ == "prune_out_channels"


def signatures(units: Units) -> Tensor:
    """All that makes each channel, [channels, numbers]: rows of weights with biases, batch norms folded in.

    Two channels of the same signature compute the same, wherever the units' layers are read.
    """
    import torch
    from torch import nn

    norms = nn.modules.batchnorm._BatchNorm
    rows: dict[nn.Module, Tensor] = {}
    for item in sorted(filter(_makes, units.group), key=lambda item: isinstance(item.dep.target.module, norms)):
        layer, before = item.dep.target.module, [node.module for node in item.dep.target.inputs]
        if isinstance(layer, norms) and len(before) == 1 and before[0] in rows:
            rows[before[0]] = _folded(rows[before[0]], *_placed(item, torch.stack(_affine(layer), 1), units).T)
        else:
            found = torch.stack(_affine(layer), 1) if isinstance(layer, norms) else _rows(layer)
            rows[layer] = _placed(item, found, units)
    return torch.cat(list(rows.values()), 1)


def _placed(item: Any, found: Tensor, units: Units) -> Tensor:
    """Rows of a layer in the order of the units' channels."""
    import torch

    whole = torch.zeros(len(units.members), found.shape[1], dtype=torch.float64)
    return whole.index_copy(0, torch.tensor(item.root_idxs), found[torch.tensor(item.idxs)])


def _rows(layer: Any) -> Tensor:
    """[channels, weights and bias] of a layer."""
    import torch

    weight = layer.weight.detach().double()
    if getattr(layer, "transposed", False):
        weight = weight.transpose(0, 1)
    bias = getattr(layer, "bias", None)
    last = torch.zeros(len(weight)) if bias is None else bias.detach()
    return torch.cat([weight.flatten(1), last.double()[:, None]], 1)


def _affine(norm: Any) -> tuple[Tensor, Tensor]:
    """Scale and shift of a batch norm in eval mode."""
    import torch

    scale = (norm.running_var.double() + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight.detach().double()
    shift = torch.zeros_like(scale) if norm.bias is None else norm.bias.detach().double()
    return scale, shift - norm.running_mean.double() * scale


def _folded(rows: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    found = rows * scale[:, None]
    found[:, -1] += shift
    return found


def alike(signature: Tensor, threshold: float) -> list[Pair]:
    """Pairs with cosine ≥ threshold, the most alike first; what goes is merged into one channel that stays."""
    from torch.nn import functional

    unit = functional.normalize(signature, dim=1)
    cosines = (unit @ unit.T).triu(1)
    found: list[Pair] = []
    gone: set[int] = set()
    kept: set[int] = set()
    places = (cosines >= threshold - _ROUNDING).triu(1).nonzero().tolist()
    for first, second in sorted(places, key=lambda place: (-float(cosines[place[0], place[1]]), place)):
        stays, goes = (second, first) if second in kept else (first, second)
        if not {first, second} & gone and goes not in kept:
            found.append(Pair(stays, goes, float(cosines[first, second])))
            gone.add(goes)
            kept.add(stays)
    return found


def nearest(signature: Tensor) -> float:
    """The largest cosine between two channels."""
    from torch.nn import functional

    unit = functional.normalize(signature, dim=1)
    return float((unit @ unit.T).triu(1).max())


def merge(module: nn.Module, chosen: Sequence[tuple[Units, list[Pair]]], data: Split) -> None:
    """Add the outgoing weights of every channel that goes to those of the one it is merged into, then remove it."""
    readers = [(item, pairs) for units, pairs in chosen for item in units.group if _reads(item)]
    scales = _scales(module, readers, data)
    for (item, pairs), factors in zip(readers, scales, strict=True):
        weight = item.dep.target.module.weight.data
        inputs = weight.transpose(0, 1) if not getattr(item.dep.target.module, "transposed", False) else weight
        for pair, factor in zip(pairs, factors, strict=True):
            inputs[_places(item, pair.kept)] += factor * inputs[_places(item, pair.gone)]
    remove(module, (), [(units, [pair.gone for pair in pairs]) for units, pairs in chosen])


def _places(item: Any, channel: int) -> list[int]:
    """Which inputs of a layer belong to a channel: several behind a flatten."""
    return [place for place, root in zip(item.idxs, item.root_idxs, strict=True) if root == channel]


def _scales(module: nn.Module, readers: Sequence[tuple[Any, list[Pair]]], data: Split) -> list[list[float]]:
    """⟨a_kept, a_gone⟩ / ⟨a_kept, a_kept⟩ at every reader, for each of its pairs; 0 where the kept one is silent."""
    import torch

    sums = [[torch.zeros(2, dtype=torch.float64) for _ in pairs] for _, pairs in readers]

    def watch(number: int) -> Any:
        item, pairs = readers[number]

        def note(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
            features = -1 if isinstance(layer, torch.nn.Linear) else 1
            values = inputs[0].detach().movedim(features, 0).double()
            for total, pair in zip(sums[number], pairs, strict=True):
                kept, gone = values[_places(item, pair.kept)], values[_places(item, pair.gone)]
                total.add_(torch.stack([(kept * gone).sum(), (kept * kept).sum()]))

        return item.dep.target.module.register_forward_pre_hook(note)

    hooks = [watch(number) for number in range(len(readers))]
    with torch.no_grad():
        for inputs, _ in in_order(data):
            module.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return [[float(both / own) if own else 0.0 for both, own in totals] for totals in sums]
