"""What ONNX Runtime's optimizer makes of several operators, in the domain com.microsoft."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call
from edgebuild.nn.lift.operators import convolutions, matrices

if TYPE_CHECKING:
    from torch import Tensor, fx

_RUNTIME = "com.microsoft"
_TANH, _EXACT = "tanh", "none"


def gelu(call: Call) -> Any:
    """Of the sum with a row, where there is one; FastGelu is the approximation by the hyperbolic tangent."""
    from torch.nn import functional

    values = call.emit(added, call.tensor(0), call.tensor(1)) if call.has(1) else call.tensor(0)
    return call.emit(functional.gelu, values, approximate=_TANH if call.kind == "FastGelu" else _EXACT)


def added(one: Tensor, other: Tensor) -> Tensor:
    """The sum."""
    return one + other


def quick_gelu(call: Call) -> Any:
    """X σ(α x)."""
    from edgebuild.nn.lift.operators.activations import swished

    return call.emit(swished, call.tensor(0), call.number("alpha", 1.702))


def product(call: Call) -> Any:
    """α A′ B′, in which stacks of matrices may be turned, and their first axis be put behind the other ones."""
    turned, batched = ([bool(call.integer(f"{name}{side}")) for side in "AB"] for name in ("trans", "transBatch"))
    if call.number("alpha", 1.0) == 1 and not any((*turned, *batched)):
        return matrices.matrix_product(call)
    return call.emit(multiplied, call.tensor(0), call.tensor(1), turned, batched, call.number("alpha", 1.0))


def multiplied(one: Tensor, other: Tensor, turned: list[bool], batched: list[bool], alpha: float) -> Tensor:
    """The product of both sides as they are to stand."""
    import torch

    sides = []
    for side, turn, behind in zip((one, other), turned, batched, strict=True):
        stacked = side.movedim(0, -2) if behind else side
        sides.append(stacked.transpose(-1, -2) if turn and side.ndim > 1 else stacked)
    result = torch.matmul(*sides)
    return result if alpha == 1 else result * alpha


def general_product(call: Call) -> Any:
    """A product of matrices and an activation behind it."""
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    given = [call.number(name, 0.0) for name in names if call.attribute(name) is not None]
    return _activated(call, matrices.general_product(call), given)


def convolution(call: Call) -> Any:
    """A convolution, what is added to it, and an activation behind both."""
    result = convolutions.convolution(call)
    if call.has(3):
        result = call.emit(added, result, call.tensor(3))
    return _activated(call, result, [*(call.attribute("activation_params") or ())])


def _activated(call: Call, values: fx.Node, given: list[float]) -> Any:
    import torch
    from torch.nn import functional

    from edgebuild.nn.lift.operators.activations import ramp

    kind = call.word("activation")
    functions: Mapping[str, Callable[..., Tensor]] = {
        "": added,
        "Clip": torch.clamp,
        "HardSigmoid": ramp,
        "LeakyRelu": functional.leaky_relu,
        "Relu": functional.relu,
        "Sigmoid": torch.sigmoid,
        "Tanh": torch.tanh,
    }
    call.need(kind in functions, f"there is no torch for its activation {kind!r} yet")
    return call.emit(functions[kind], values, *map(float, given)) if kind else values


def skip_norm(call: Call) -> Any:
    """The norm of the sum of two values, and of a row; that sum is a result too."""
    import torch
    from torch import nn

    simple = call.kind.startswith("SkipSimplified")
    shift, row = (None, 3) if simple else (3, 4)
    total = call.emit(added, call.tensor(0), call.tensor(1))
    if call.has(row):
        total = call.emit(added, total, call.tensor(row))
    eps, shape = call.number("epsilon", 1e-5 if simple else 1e-12), call.shape(2)
    kind = nn.RMSNorm if simple else nn.LayerNorm
    layer = kind(shape, eps, **({} if simple else {"bias": call.has(3)}))
    layer.weight = call.parameter(2)
    if shift is not None and call.has(shift):
        layer.bias = call.parameter(shift)
    call.need(not any(call.node.output[1:3]), "its mean and deviation are results")
    normed = call.layer(layer, 2, shift or "", total)
    nothing = call.emit(torch.zeros, 0) if any(call.node.output[1:]) else None
    return normed, nothing, nothing, total


def embeddings(call: Call) -> Any:
    """The norm of the sum of what words, their places and their segments stand for."""
    from torch import nn

    tables = [_table(call, place) for place in (2, 3, 4) if call.has(place)]
    words = call.layer(tables[0], 2, "", call.tensor(0))
    places = call.tensor(8) if call.has(8) else call.emit(numbered, call.tensor(0))
    total = call.emit(added, words, call.layer(tables[1], 3, "", places))
    if call.has(1) and call.has(4):
        total = call.emit(added, total, call.layer(tables[2], 4, "", call.tensor(1)))
    layer = nn.LayerNorm(call.shape(5), call.number("epsilon", 1e-12))
    layer.weight, layer.bias = call.parameter(5), call.parameter(6)
    counts = call.emit(counted, call.tensor(0), call.tensor(7) if call.has(7) else None)
    return call.layer(layer, 5, 6, total), counts, total


def _table(call: Call, place: int) -> Any:
    from torch import nn

    count, size = call.array(place).shape
    layer = nn.Embedding(count, size, device="meta")
    layer.weight = call.parameter(place)
    return layer


def numbered(words: Tensor) -> Tensor:
    """The place of each word in its example."""
    import torch

    return torch.arange(words.shape[1], device=words.device).expand(words.shape)


def counted(words: Tensor, mask: Tensor | None) -> Tensor:
    """How many words of each example there are by a mask of zeros and ones; 0 where there is none."""
    import torch

    kept = torch.zeros_like(words) if mask is None else mask
    return kept.sum(1).to(torch.int32)


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    f"{_RUNTIME}::{name}": operator
    for name, operator in {
        "BiasGelu": gelu,
        "EmbedLayerNormalization": embeddings,
        "FastGelu": gelu,
        "FusedConv": convolution,
        "FusedGemm": general_product,
        "FusedMatMul": product,
        "Gelu": gelu,
        "QuickGelu": quick_gelu,
        "SkipLayerNormalization": skip_norm,
        "SkipSimplifiedLayerNormalization": skip_norm,
        "TransposeMatMul": product,
    }.items()
}
