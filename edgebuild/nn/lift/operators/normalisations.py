"""Norms, and what makes probabilities of scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call

if TYPE_CHECKING:
    from torch import Tensor


def batch_norm(call: Call) -> Any:
    """A layer, with the statistics that the file holds."""
    from torch import nn
    from torch.nn import functional

    call.need(not call.integer("training_mode"), "it is of training mode", "export the model in eval mode")
    call.need(call.integer("spatial", 1) == 1, "it has statistics of every place")
    eps, momentum = call.number("epsilon", 1e-5), 1 - call.number("momentum", 0.9)
    kinds = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
    if not all(map(call.is_constant, range(1, 5))) or call.rank(0) not in kinds:
        scale, shift, average, variance = map(call.tensor, range(1, 5))
        return call.emit(functional.batch_norm, call.tensor(0), average, variance, scale, shift, eps=eps)
    layer = kinds[call.rank(0)](call.shape(1)[0], eps, round(momentum, 6))
    layer.weight, layer.bias = call.parameter(1), call.parameter(2)
    layer.running_mean, layer.running_var = call.copy(3), call.copy(4)
    return call.layer(layer, 1, 2, call.tensor(0))


def instance_norm(call: Call) -> Any:
    """A layer for pictures, signals and volumes."""
    from torch import nn
    from torch.nn import functional

    eps = call.number("epsilon", 1e-5)
    kinds = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
    if not (call.is_constant(1) and call.is_constant(2)) or call.rank(0) not in kinds:
        scale, shift = call.tensor(1), call.tensor(2)
        return call.emit(functional.instance_norm, call.tensor(0), weight=scale, bias=shift, eps=eps)
    layer = kinds[call.rank(0)](call.shape(1)[0], eps, affine=True)
    layer.weight, layer.bias = call.parameter(1), call.parameter(2)
    return call.layer(layer, 1, 2, call.tensor(0))


def group_norm(call: Call) -> Any:
    """A layer; before opset 21 there is one scale a group, not one a channel."""
    from torch import nn
    from torch.nn import functional

    groups, channels, eps = call.integer("num_groups"), call.shape(0)[1], call.number("epsilon", 1e-5)
    if not (call.is_constant(1) and call.is_constant(2)):
        normed = call.emit(functional.group_norm, call.tensor(0), groups, eps=eps)
        return call.emit(by_channel, normed, call.tensor(1), call.tensor(2))
    layer = nn.GroupNorm(groups, channels, eps)
    layer.weight, layer.bias = (_each(call, place, channels) for place in (1, 2))
    return call.layer(layer, 1, 2, call.tensor(0))


def _each(call: Call, place: int, channels: int) -> Any:
    values = call.array(place)
    return call.parameter(place) if len(values) == channels else call.derived(values.repeat(channels // len(values)))


def by_channel(values: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """[N, C, …] times one number for each channel, or for each group of channels, plus another."""
    repeat, rest = values.shape[1] // len(scale), [1] * (values.ndim - 2)
    one, other = (each.repeat_interleave(repeat).reshape(-1, *rest) for each in (scale, shift))
    return values * one + other


def layer_norm(call: Call) -> Any:
    """A layer, where scale and shift are constants of the shape that is normed."""
    from torch import nn

    axis, eps = call.axis(-1), call.number("epsilon", 1e-5)
    shape = call.shape(0)[axis:]
    fits = all(call.is_constant(place) and call.shape(place) == shape for place in (1, 2) if call.has(place))
    if fits and not any(call.node.output[1:]):
        layer = nn.LayerNorm(shape, eps, bias=call.has(2))
        layer.weight = call.parameter(1)
        if call.has(2):
            layer.bias = call.parameter(2)
        return call.layer(layer, 1, 2, call.tensor(0))
    shift = call.tensor(2) if call.has(2) else None
    return call.unpack(call.emit(normed, call.tensor(0), call.tensor(1), shift, len(shape), eps), 3)


def normed(values: Tensor, scale: Tensor, shift: Tensor | None, last: int, eps: float) -> tuple[Tensor, ...]:
    """The norm over the last axes; also their mean, and 1 over their standard deviation."""
    axes = tuple(range(-last, 0))
    mean = values.mean(axes, keepdim=True)
    inverse = ((values - mean).square().mean(axes, keepdim=True) + eps).rsqrt()
    result = (values - mean) * inverse * scale
    return (result if shift is None else result + shift), mean, inverse


def rms_norm(call: Call) -> Any:
    """A layer, where the scale is a constant of the shape that is normed."""
    from torch import nn
    from torch.nn import functional

    shape, eps = call.shape(0)[call.axis(-1) :], call.number("epsilon", 1e-5)
    if not call.is_constant(1) or call.shape(1) != shape:
        return call.emit(_mul, call.emit(functional.rms_norm, call.tensor(0), shape, eps=eps), call.tensor(1))
    layer = nn.RMSNorm(shape, eps)
    layer.weight = call.parameter(1)
    return call.layer(layer, 1, "", call.tensor(0))


def _mul(values: Tensor, scale: Tensor) -> Tensor:
    return values * scale


def unit(call: Call) -> Any:
    """Length 1 along an axis."""
    from torch.nn import functional

    return call.emit(functional.normalize, call.tensor(0), float(call.integer("p", 2)), call.axis(-1))


def local_response(call: Call) -> Any:
    """Each channel over the squares of its neighbours (Krizhevsky et al. 2012)."""
    options = (call.number("alpha", 1e-4), call.number("beta", 0.75), call.number("bias", 1.0))
    return call.emit(responses, call.tensor(0), call.integer("size"), *options)


def responses(values: Tensor, size: int, alpha: float, beta: float, bias: float) -> Tensor:
    """X / (bias + alpha / size · Σ x² of `size` channels around)^beta, those before the first counting as 0."""
    from torch.nn import functional

    flat = values.square().flatten(2).movedim(1, 2)
    around = functional.pad(flat, ((size - 1) // 2, size - 1 - (size - 1) // 2))
    sums = functional.avg_pool1d(around, size, 1).movedim(2, 1).reshape(values.shape) * alpha
    return values / (sums + bias) ** beta


def standardised(call: Call) -> Any:
    """Mean 0 and deviation 1 over axes."""
    return call.emit(standard, call.tensor(0), call.integers("axes", (0, 2, 3)))


def standard(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """(x − mean) / (standard deviation + 1e-9)."""
    centred = values - values.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True).sqrt() + 1e-9)


def softmax(call: Call) -> Any:
    """Over one axis; before opset 13 over that and all behind it."""
    axis = call.axis(-1 if call.version >= 13 else 1)
    if call.version >= 13 or (math.prod(call.shape(0)[axis + 1 :]) == 1 and call.rank(0) == axis + 1):
        return call.emit(_scores(call.kind), call.tensor(0), axis)
    return call.emit(over_all, call.tensor(0), axis, call.kind)


def over_all(values: Tensor, axis: int, kind: str) -> Tensor:
    """The same over an axis and all behind it at once."""
    return _scores(kind)(values.flatten(axis), axis).reshape(values.shape)


def _scores(kind: str) -> Callable[[Tensor, int], Tensor]:
    import torch

    if kind == "Hardmax":
        return hard_max
    return torch.softmax if kind == "Softmax" else torch.log_softmax


def hard_max(values: Tensor, axis: int) -> Tensor:
    """1 at the first largest value, else 0."""
    import torch

    return torch.zeros_like(values).scatter(axis, values.argmax(axis, keepdim=True), 1)


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    "BatchNormalization": batch_norm,
    "GroupNormalization": group_norm,
    "Hardmax": softmax,
    "InstanceNormalization": instance_norm,
    "LRN": local_response,
    "LayerNormalization": layer_norm,
    "LogSoftmax": softmax,
    "LpNormalization": unit,
    "MeanVarianceNormalization": standardised,
    "RMSNormalization": rms_norm,
    "Softmax": softmax,
}
