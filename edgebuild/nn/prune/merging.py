"""Channels that do nearly the same: how alike they are, and one of two made to speak for both.

Srinivas & Babu 2015, "Data-free parameter pruning", section 3: where units i and j have the same weights, j may go once
its outgoing weights are added to those of i. Here j's are added c times, c = ⟨a_i, a_j⟩ / ⟨a_i, a_i⟩ over examples at
the layer that reads both: 1 for the same weights, and their ratio for proportional ones behind a ReLU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.prune.units import Units
from edgebuild.nn.train.batches import in_order

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.prune.channels import Inventory
    from edgebuild.nn.prune.dependencies import Member
    from edgebuild.spec.rows import Split

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Pair:
    """Channel `gone` of some units is merged into `kept`; `cosine` is how alike they are."""

    kept: int
    gone: int
    cosine: float


def why_not(module: nn.Module, units: Units) -> str | None:
    """Why channels of these units cannot be merged, None when they can be."""
    if units.noun != "channels" or any(len(channels) > 1 for channels in units.members):
        return f"its {units.noun} go in groups"
    if any(not places for side in units.group.members for places in side.places):
        return "some layer takes only a part of its channels"
    mixing = units.group.normed or [
        one.parameter for one in units.group.members if not (_reads(module, one) or _makes(module, one))
    ]
    if mixing:
        part = mixing[0].rpartition(".")[0]
        kind = type(module.get_submodule(part)).__name__ if part else repr(mixing[0])
        return f"{kind} treats its channels in a way that merging would change"
    return None if any(_reads(module, one) for one in units.group.members) else "no layer reads its channels"


def _reads(module: nn.Module, side: Member) -> bool:
    """Whether the member belongs to a convolution or linear layer that takes the channels as inputs."""
    from torch import nn

    layer = module.get_submodule(side.layer)
    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    return side.role == "reads" and isinstance(layer, kinds) and getattr(layer, "groups", 1) == 1


def _makes(module: nn.Module, side: Member) -> bool:
    """Whether the member's layer makes or scales each channel on its own."""
    from torch import nn

    kinds = (nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._BatchNorm, nn.PReLU)
    return side.role != "reads" and isinstance(module.get_submodule(side.layer), kinds)


def signatures(module: nn.Module, units: Units, folds: Mapping[str, str]) -> Tensor:
    """All that makes each channel, [channels, numbers]: rows of weights with biases, batch norms folded in.

    Two channels of the same signature compute the same, wherever the units' layers are read. `folds` says of batch
    norms which weight makes what they norm.
    """
    import torch
    from torch import nn

    sides = {side.layer: side for side in reversed(units.group.members) if _makes(module, side)}
    rows: dict[str, Tensor] = {}
    for name, side in sorted(sides.items(), key=lambda one: one[0] in folds):
        layer, maker = module.get_submodule(name), folds.get(name, "").rpartition(".")[0]
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            affine = _placed(side, torch.stack(_affine(layer), 1))
            if maker in rows:
                rows[maker] = _folded(rows[maker], *affine.T)
            else:
                rows[name] = affine
        else:
            rows[name] = _placed(side, _rows(layer))
    return torch.cat(list(rows.values()), 1)


def _placed(side: Member, rows: Tensor) -> Tensor:
    """Rows of a layer in the order of the units."""
    return rows[[places[0] for places in side.places]]


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
    folded = rows * scale[:, None]
    folded[:, -1] += shift
    return folded


def alike(signature: Tensor, threshold: float) -> list[Pair]:
    """Pairs with cosine ≥ threshold, the most alike first; what goes is merged into one channel that stays."""
    from torch.nn import functional

    unit = functional.normalize(signature, dim=1)
    cosines = (unit @ unit.T).triu(1)
    pairs: list[Pair] = []
    gone: set[int] = set()
    kept: set[int] = set()
    places = (cosines >= threshold - _ROUNDING).triu(1).nonzero().tolist()
    for first, second in sorted(places, key=lambda place: (-float(cosines[place[0], place[1]]), place)):
        stays, goes = (second, first) if second in kept else (first, second)
        if not {first, second} & gone and goes not in kept:
            pairs.append(Pair(stays, goes, float(cosines[first, second])))
            gone.add(goes)
            kept.add(stays)
    return pairs


def nearest(signature: Tensor) -> float:
    """The largest cosine between two channels."""
    from torch.nn import functional

    unit = functional.normalize(signature, dim=1)
    return float((unit @ unit.T).triu(1).max())


def merge(module: nn.Module, inventory: Inventory, chosen: Sequence[tuple[Units, list[Pair]]], data: Split) -> None:
    """Add the outgoing weights of every channel that goes to those of the one it is merged into, then remove it."""
    readers = [(one, pairs) for units, pairs in chosen for one in units.group.members if _reads(module, one)]
    scales = _scales(module, readers, data)
    for (side, pairs), factors in zip(readers, scales, strict=True):
        weight = module.get_parameter(side.parameter).data.movedim(side.axis, 0)
        for pair, factor in zip(pairs, factors, strict=True):
            weight[list(side.places[pair.kept])] += factor * weight[list(side.places[pair.gone])]
    inventory.remove(module, [(units, [pair.gone for pair in pairs]) for units, pairs in chosen])


def _scales(module: nn.Module, readers: Sequence[tuple[Member, list[Pair]]], data: Split) -> list[list[float]]:
    """⟨a_kept, a_gone⟩ / ⟨a_kept, a_kept⟩ at every reader, for each of its pairs; 0 where the kept one is silent."""
    import torch

    sums = [[torch.zeros(2, dtype=torch.float64) for _ in pairs] for _, pairs in readers]

    def watch(number: int) -> Any:
        side, pairs = readers[number]

        def note(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
            features = -1 if isinstance(layer, torch.nn.Linear) else 1
            values = inputs[0].detach().movedim(features, 0).double()
            for total, pair in zip(sums[number], pairs, strict=True):
                kept, gone = values[list(side.places[pair.kept])], values[list(side.places[pair.gone])]
                total.add_(torch.stack([(kept * gone).sum(), (kept * kept).sum()]))

        return module.get_submodule(side.layer).register_forward_pre_hook(note)

    hooks = [watch(number) for number in range(len(readers))]
    with torch.no_grad():
        for inputs, _ in in_order(data):
            module.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return [[float(both / own) if own else 0.0 for both, own in totals] for totals in sums]
