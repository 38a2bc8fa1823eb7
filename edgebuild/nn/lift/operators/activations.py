"""Activations, each with the defaults of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call

if TYPE_CHECKING:
    from torch import Tensor

_PLAIN = {"HardSwish": "hardswish", "Mish": "mish", "Softplus": "softplus", "Softsign": "softsign"}


def plain(call: Call) -> Any:
    """Those without options."""
    from torch.nn import functional

    return call.emit(getattr(functional, _PLAIN[call.kind]), call.tensor(0))


def celu(call: Call) -> Any:
    """max(0, x) + min(0, α (exp(x/α) − 1))."""
    from torch.nn import functional

    return call.emit(functional.celu, call.tensor(0), call.number("alpha", 1.0))


def elu(call: Call) -> Any:
    """The exponential below zero."""
    from torch.nn import functional

    return call.emit(functional.elu, call.tensor(0), call.number("alpha", 1.0))


def gelu(call: Call) -> Any:
    """Exact, or by the hyperbolic tangent."""
    from torch.nn import functional

    return call.emit(functional.gelu, call.tensor(0), approximate=call.word("approximate", "none"))


def hard_sigmoid(call: Call) -> Any:
    """max(0, min(1, α x + β)); torch's own where α is a sixth and β a half."""
    from torch.nn import functional

    alpha, beta = call.number("alpha", 0.2), call.number("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return call.emit(functional.hardsigmoid, call.tensor(0))
    return call.emit(ramp, call.tensor(0), alpha, beta)


def ramp(values: Tensor, alpha: float, beta: float) -> Tensor:
    """α x + β between 0 and 1."""
    return (values * alpha + beta).clamp(0, 1)


def leaky_relu(call: Call) -> Any:
    """A slope below zero."""
    from torch.nn import functional

    return call.emit(functional.leaky_relu, call.tensor(0), call.number("alpha", 0.01))


def prelu(call: Call) -> Any:
    """A learnt slope below zero: a layer where there is one for all or one a channel."""
    from torch import nn

    if call.is_constant(1) and call.rank(0) > 1:
        slope, channels = call.array(1), call.shape(0)[1]
        by_channel = slope.ndim >= call.rank(0) - 1 and slope.shape[1 - call.rank(0)] == channels
        if slope.size == 1 or (slope.size == channels and by_channel):
            layer = nn.PReLU(slope.size)
            layer.weight = _flat(call, slope)
            return call.layer(layer, 1, "", call.tensor(0))
    return call.emit(sloped, call.tensor(0), call.tensor(1))


def _flat(call: Call, slope: Any) -> Any:
    return call.parameter(1) if slope.ndim == 1 else call.derived(slope.reshape(-1))


def sloped(values: Tensor, slope: Tensor) -> Tensor:
    """X above zero, slope · x below."""
    import torch

    return torch.where(values < 0, values * slope, values)


def selu(call: Call) -> Any:
    """γ (max(0, x) + min(0, α (exp(x) − 1)))."""
    from torch.nn import functional

    alpha, gamma = call.number("alpha", 1.67326319217681884765625), call.number("gamma", 1.05070102214813232421875)
    return call.emit(scaled, call.emit(functional.elu, call.tensor(0), alpha), gamma)


def scaled(values: Tensor, factor: float) -> Tensor:
    """The product with a number."""
    return values * factor


def shrink(call: Call) -> Any:
    """Zero near zero, and the rest nearer to it by the bias."""
    return call.emit(shrunk, call.tensor(0), call.number("lambd", 0.5), call.number("bias", 0.0))


def shrunk(values: Tensor, limit: float, bias: float) -> Tensor:
    """X + bias below −limit, x − bias above limit, else 0."""
    import torch

    inner = torch.where(values > limit, values - bias, torch.zeros_like(values))
    return torch.where(values < -limit, values + bias, inner)


def swish(call: Call) -> Any:
    """X σ(α x)."""
    from torch.nn import functional

    alpha = call.number("alpha", 1.0)
    return call.emit(functional.silu, call.tensor(0)) if alpha == 1 else call.emit(swished, call.tensor(0), alpha)


def swished(values: Tensor, alpha: float) -> Tensor:
    """X σ(α x)."""
    import torch

    return values * torch.sigmoid(values * alpha)


def thresholded(call: Call) -> Any:
    """X above the threshold, else 0."""
    from torch.nn import functional

    return call.emit(functional.threshold, call.tensor(0), call.number("alpha", 1.0), 0.0)


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    **dict.fromkeys(_PLAIN, plain),
    "Celu": celu,
    "Elu": elu,
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "LeakyRelu": leaky_relu,
    "PRelu": prelu,
    "Selu": selu,
    "Shrink": shrink,
    "Swish": swish,
    "ThresholdedRelu": thresholded,
}
