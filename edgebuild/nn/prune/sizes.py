"""Sizes that a module's code holds as whole numbers: those of torch's own layers, and attributes of the user's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.prune.narrow import resized
from edgebuild.nn.prune.trace.call import Size
from edgebuild.nn.prune.trace.fate import fate

if TYPE_CHECKING:
    from torch import nn

    from edgebuild.nn.prune.trace.follow import Traced
    from edgebuild.nn.prune.trace.numbers import Ids


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """Attribute `name` of a module (element `place` of it, where it holds several) is the length of this axis."""

    module: str
    name: str
    place: int | None
    ids: Ids
    innermost: bool


def candidates(module: nn.Module, traced: Traced, gone: Collection[int]) -> list[Correction]:
    """Attributes with the old value of a size that changes with these numbers, in modules whose code used the size.

    Of each size, those of the innermost module that has any are marked so. Torch's own layers with parameters are not
    searched: what they count is known, or left to `refreshed`.
    """
    corrections: dict[tuple[str, str, int | None], Correction] = {}
    ends = fate(traced.numbers, gone)
    changing = (one for one in traced.notes.sizes if len(ends.places(one.ids)))
    for size in (part for one in changing for part in _repeated(traced, one)):
        inner = True
        for name in _paths(size.modules):
            part = module.get_submodule(name)
            counter = _counter(part)
            if counter is not None and getattr(part, counter) == len(size.ids):
                corrections.setdefault((name, counter, None), Correction(name, counter, None, size.ids, True))
                break
            if _is_torchs(part) and part._parameters:
                continue
            holding = [*_holding(part, len(size.ids))]
            for attribute, place in holding:
                corrections.setdefault((name, attribute, place), Correction(name, attribute, place, size.ids, inner))
            inner = inner and not holding
    return [*corrections.values()]


def _repeated(traced: Traced, size: Size) -> list[Size]:
    """A size, and where it counts the same several times over (batch × heads), that of once."""
    roots, count = traced.numbers.find(size.ids), len(size.ids)
    periods = (k for k in range(2, count) if count % k == 0 and bool((roots.reshape(-1, k) == roots[:k]).all()))
    period = next(periods, count)
    return [size] if period == count else [size, Size(size.modules, size.ids[:period])]


def corrected(module: nn.Module, traced: Traced, gone: Collection[int], corrections: Iterable[Correction]) -> None:
    """Set each attribute to what is left of its axis."""
    ends = fate(traced.numbers, gone)
    for one in corrections:
        part = module.get_submodule(one.module)
        left = len(ends.rest(one.ids))
        if one.place is None:
            setattr(part, one.name, left)
        else:
            held = [*getattr(part, one.name)]
            held[one.place] = left
            setattr(part, one.name, type(getattr(part, one.name))(held))


def refreshed(module: nn.Module, changed: Mapping[str, Any]) -> None:
    """Tell torch's own layers the sizes of their parameters."""
    holders = (parameter.rpartition(".")[0] for parameter in changed)
    for part in map(module.get_submodule, dict.fromkeys(holders)):
        for kind, tell in _tellers().items():
            if isinstance(part, kind):
                tell(part)


def _paths(modules: Sequence[str]) -> list[str]:
    """Module names in the trace without the number of the call (`layer@1`)."""
    return [*dict.fromkeys(name.partition("@")[0] for name in modules)]


def _is_torchs(part: nn.Module) -> bool:
    return type(part).__module__.partition(".")[0] == "torch"


def _counter(part: nn.Module) -> str | None:
    """What counts blocks of channels in torch's own layers and those derived from them."""
    from torch import nn

    if isinstance(part, nn.modules.conv._ConvNd):
        return "groups"
    if isinstance(part, nn.MultiheadAttention):
        return "num_heads"
    return "num_groups" if isinstance(part, nn.GroupNorm) else None


def _holding(part: nn.Module, size: int) -> Iterable[tuple[str, int | None]]:
    """Public attributes with this value, and places of it in those that hold several."""
    for name, value in vars(part).items():
        if name.startswith("_") or name == "training":
            continue
        if type(value) is int and value == size:
            yield name, None
        elif isinstance(value, tuple | list) and all(type(one) is int for one in value):
            yield from ((name, place) for place, one in enumerate(value) if one == size)


def _tellers() -> dict[Any, Callable[[Any], None]]:
    from torch import nn

    return {
        nn.modules.conv._ConvNd: _convolution,
        nn.Linear: _linear,
        nn.modules.batchnorm._NormBase: lambda norm: setattr(norm, "num_features", len(_any(norm))),
        nn.GroupNorm: lambda norm: setattr(norm, "num_channels", len(norm.weight)),
        nn.LayerNorm: _last_axis,
        nn.RMSNorm: _last_axis,
        nn.PReLU: lambda layer: setattr(layer, "num_parameters", layer.weight.numel()),
        nn.Embedding: lambda layer: setattr(layer, "embedding_dim", layer.weight.shape[1]),
        nn.RNNBase: _recurrent,
        nn.RNNCellBase: _cell,
        nn.MultiheadAttention: resized,
    }


def _any(norm: Any) -> Any:
    return norm.weight if norm.weight is not None else norm.running_mean


def _convolution(layer: Any) -> None:
    """After `groups` was corrected."""
    first, second = layer.weight.shape[:2]
    if layer.transposed:
        layer.in_channels, layer.out_channels = first, second * layer.groups
    else:
        layer.out_channels, layer.in_channels = first, second * layer.groups


def _linear(layer: Any) -> None:
    layer.out_features, layer.in_features = layer.weight.shape


def _last_axis(norm: Any) -> None:
    norm.normalized_shape = (*norm.normalized_shape[:-1], norm.weight.shape[-1])


def _cell(layer: Any) -> None:
    layer.hidden_size, layer.input_size = layer.weight_hh.shape[1], layer.weight_ih.shape[1]


def _recurrent(layer: Any) -> None:
    layer.hidden_size, layer.input_size = layer.weight_hh_l0.shape[1], layer.weight_ih_l0.shape[1]
