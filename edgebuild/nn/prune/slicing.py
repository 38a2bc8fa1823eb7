"""Takes indices out of a module's parameters in place, or silences them for comparison."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from edgebuild.nn.prune.dependencies import lost
from edgebuild.nn.prune.sizes import Correction, corrected, refreshed
from edgebuild.nn.prune.streamed import forget
from edgebuild.nn.prune.trace.fate import fate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.prune.trace.follow import Traced
    from edgebuild.nn.prune.trace.numbers import Ids


def take_out(module: nn.Module, traced: Traced, gone: Collection[int], corrections: Sequence[Correction]) -> None:
    """Remove all that goes with these numbers from the module, or from a copy of it, and tell it its new sizes.

    Parameters stay the same objects, so that what shares them (tied layers, flattened recurrent weights) follows.
    """
    import torch

    losses = lost(traced, gone)
    for name, axes in losses.items():
        held = _held(module, name)
        kept = held.data
        for axis, places in axes.items():
            stays = torch.ones(kept.shape[axis], dtype=torch.bool)
            stays[torch.from_numpy(places)] = False
            kept = kept.index_select(axis, stays.nonzero().flatten())
        held.data, held.grad = kept.contiguous(), None
    corrected(module, traced, gone, corrections)
    refreshed(module, losses)
    forget(module)


def silenced(
    module: nn.Module, traced: Traced, gone: Collection[int], but: Collection[str] = ()
) -> AbstractContextManager[Any]:
    """Make the same indices say nothing and read nothing, in place; the module must be run within the result.

    Norms over channels then take their mean and variance over what would be left alone. Parameters named in `but` are
    silent without that.
    """
    import torch

    for name, axes in lost(traced, gone).items():
        if name in but:
            continue
        held = _held(module, name)
        for axis, places in axes.items():
            if held.is_floating_point():
                held.data.index_fill_(axis, torch.from_numpy(places), 0)
    ends = fate(traced.numbers, gone)
    stays: dict[int, Ids] = {}
    for norm in traced.notes.norms:
        if norm.weight is not None and len(places := ends.places(_axis(traced, norm.weight))):
            stays[id(_held(module, norm.weight))] = places
    return _over_the_rest(stays)


def _axis(traced: Traced, weight: str) -> Ids:
    (axis,) = traced.parameters[weight].axes
    return axis


def _held(module: nn.Module, name: str) -> Tensor:
    path, _, leaf = name.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(path), leaf)
    return tensor


def _over_the_rest(gone: Mapping[int, Ids]) -> AbstractContextManager[Any]:
    """Within it, norms whose weight (by identity) has lost places answer for the others, with 0 in those."""
    import torch
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    def rest(places: Ids, count: int) -> Tensor:
        stays = torch.ones(count, dtype=torch.bool)
        stays[torch.from_numpy(places)] = False
        return stays

    def over_last(func: Any, value: Tensor, shape: Sequence[int], weight: Tensor, *more: Any, **named: Any) -> Tensor:
        stays = rest(gone[id(weight)], shape[-1])
        result = torch.zeros_like(value)
        shift = {"bias": named["bias"][stays]} if named.get("bias") is not None else {}
        others = [one[stays] if isinstance(one, torch.Tensor) else one for one in more]
        result[..., stays] = func(value[..., stays], (int(stays.sum()),), weight[stays], *others, **named | shift)
        return result

    def over_groups(
        value: Tensor, groups: int, weight: Tensor, bias: Tensor | None = None, eps: float = 1e-5
    ) -> Tensor:
        stays = rest(gone[id(weight)], value.shape[1])
        left = stays.view(groups, -1)
        number = int(left.any(1).sum())
        result = torch.zeros_like(value)
        shift = None if bias is None else bias[stays]
        result[:, stays] = functional.group_norm(value[:, stays], number, weight[stays], shift, eps)
        return result

    class Mode(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            weight = kwargs.get("weight", args[2] if len(args) > 2 else None)
            name = getattr(func, "__name__", "")
            if isinstance(weight, torch.Tensor) and id(weight) in gone:
                options = {
                    key: value
                    for key, value in kwargs.items()
                    if key not in ("normalized_shape", "weight", "num_groups")
                }
                second = kwargs.get("normalized_shape", kwargs.get("num_groups", args[1] if len(args) > 1 else None))
                if name in ("layer_norm", "rms_norm"):
                    return over_last(func, args[0], second, weight, *args[3:], **options)
                if name == "group_norm":
                    return over_groups(args[0], second, weight, *args[3:5], **options)
            return func(*args, **kwargs)

    return Mode()
