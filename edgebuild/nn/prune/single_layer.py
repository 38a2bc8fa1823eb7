"""One layer as a module of its own, between a stem that makes its inputs and a mean over its places; and without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebuild.spec.evidence import LayerShape

if TYPE_CHECKING:
    from torch import Tensor, nn

STEM = 8  # numbers that every file is given: with one input for all, all are counted in one process


def alone(shape: LayerShape) -> nn.Module:
    """[1, STEM] → [1, outputs]: spread over all places, then stem and layer, each with a ReLU, and the mean.

    An activation stands in the place of the stem's ReLU.
    """
    from torch import nn

    if shape.kind == "activation":
        return _net(shape, [], getattr(nn, shape.function)())
    return _net(shape, [_layer(shape)])


def without(shape: LayerShape) -> nn.Module:
    """The same without the layer: what is to be taken off."""
    return _net(shape, [])


def example() -> tuple[Tensor, ...]:
    """What all are given."""
    import torch

    return (torch.zeros(1, STEM),)


def _net(shape: LayerShape, layers: list[nn.Module], activation: nn.Module | None = None) -> nn.Module:
    import torch
    from torch import nn

    flat = shape.flat

    class Spread(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = (1, *shape.places, STEM) if flat else (1, STEM, *shape.places)
            self.places = nn.Buffer(torch.rand(sizes))

        def forward(self, value: Tensor) -> Tensor:
            return self.places + (value[:, None] if flat else value.view(1, STEM, *(1 for _ in shape.places)))

    class Mean(nn.Module):
        def forward(self, value: Tensor) -> Tensor:
            return value.mean(1) if flat else value.flatten(2).mean(2)

    torch.manual_seed(0)
    stem = nn.Linear(STEM, shape.inputs) if flat else _convolutions(shape)[0](STEM, shape.inputs, 1)
    parts = [part for layer in layers for part in (layer, nn.ReLU())]
    return nn.Sequential(Spread(), stem, activation or nn.ReLU(), *parts, Mean()).eval()


def _layer(shape: LayerShape) -> nn.Module:
    from torch import nn

    if shape.kind == "product":
        return nn.Linear(shape.inputs, shape.outputs)
    if shape.kind == "gate":
        return _gate(shape)
    plain, turned = _convolutions(shape)
    kind = turned if shape.kind == "transposed" else plain
    layer: nn.Module = kind(
        shape.inputs,
        shape.outputs,
        shape.kernel,
        stride=shape.stride,
        padding=shape.padding,
        dilation=shape.dilation,
        groups=shape.groups,
    )
    return layer


def _gate(shape: LayerShape) -> nn.Module:
    from torch import nn

    plain, _ = _convolutions(shape)

    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = plain(shape.inputs, shape.outputs, 1), plain(shape.outputs, shape.inputs, 1)

        def forward(self, value: Tensor) -> Tensor:
            mean = value.mean([*range(2, value.ndim)], keepdim=True)
            gated: Tensor = value * self.up(self.down(mean).relu()).sigmoid()
            return gated

    return Gate()


def _convolutions(shape: LayerShape) -> tuple[Any, Any]:
    from torch import nn

    plain = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    turned = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    return plain[len(shape.places) - 1], turned[len(shape.places) - 1]
