"""Convolutions decoupled into a depthwise one and one by points, the nearest to what they were.

Of each input channel the kernels [out, points] are a matrix, whose leading singular vectors are the nearest of its
rank (Eckart & Young 1936): the right ones become depthwise kernels, the left ones weights by points. With as many
kernels as points nothing is lost (Guo et al. 2018, "Network decoupling", section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.nn import checkpoint
from edgebuild.nn.prune.work import LayerWork, layer_work
from edgebuild.nn.restructure import sites, swaps
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.nn.restructure.times import Exchange
from edgebuild.spec.evidence import LayerShape

if TYPE_CHECKING:
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Separated:
    """The layers of a model, and those that stand for its full convolutions with so many kernels a channel."""

    kernels: int

    def of(self, model: Path) -> Iterator[LayerShape]:
        """Their shapes, for a torch artifact."""
        known = checkpoint.load(model)
        work = layer_work(known.module, known.example())
        yield from (one.shape for one in work)
        for one in exchanges(known.module, known.example(), work, self.kernels).values():
            yield from one.after


def exchanges(
    module: nn.Module, example: Example, work: Iterable[LayerWork], kernels: int, keep: Iterable[nn.Module] = ()
) -> dict[str, Exchange]:
    """Convolutions of one group and several points that would take fewer multiplications, and what they would be.

    Those that run as modules and once, and have one name. `work` is that of the module.
    """
    from torch import nn

    layers = swaps.candidates(module, (nn.Conv1d, nn.Conv2d), keep)
    full = {name: layer for name, layer in layers.items() if _full(layer)}
    shapes = {one.parameter: one.shape for one in work}
    whole = {name: shapes[f"{name}.weight"] for name in sites.once(module, example, full) if f"{name}.weight" in shapes}
    able = {name: Exchange((shape,), form(shape, kernels)) for name, shape in whole.items()}
    return {name: one for name, one in able.items() if _macs(one.after) < _macs(one.before)}


def form(shape: LayerShape, kernels: int) -> tuple[LayerShape, LayerShape]:
    """A convolution as a depthwise one and one by points."""
    inner, axes = shape.inputs * kernels, len(shape.kernel)
    ones, none = (1,) * axes, (0,) * axes
    points = LayerShape("convolution", inner, shape.outputs, shape.made, 1, ones, ones, none, ones)
    return replace(shape, outputs=inner, groups=shape.inputs), points


def swap(name: str, kernels: int) -> Swap:
    """What stands for a convolution."""
    return Swap(name, "separable", (kernels,))


def separated(module: nn.Module, names: Sequence[str], kernels: int) -> tuple[nn.Module, tuple[Swap, ...]]:
    """A copy of the module with these convolutions in two."""
    parts = {name: swap(name, kernels) for name in names}
    return swaps.exchanged(module, parts, fill), tuple(parts.values())


def lost(layer: Any, kernels: int) -> float:
    """The share of the squared weights that so many kernels a channel do not hold."""
    import torch

    squares = torch.linalg.svdvals(_by_input(layer)).square()
    return float(squares[:, kernels:].sum() / squares.sum().clamp_min(1e-300))


def fill(part: nn.Module, layer: Any) -> None:
    """Give a part (`parts/separable.py`) what is nearest to a layer's weights, in place."""
    import torch

    space: Any
    points: Any
    space, points = part.children()
    kernels = space.weight.shape[0] // layer.weight.shape[1]
    u, s, v = torch.linalg.svd(_by_input(layer), full_matrices=False)
    root = s[:, :kernels].sqrt()
    depthwise = root[:, :, None] * v[:, :kernels]  # [in, kernels, points]
    across = u[:, :, :kernels] * root[:, None]  # [in, out, kernels]
    with torch.no_grad():
        space.weight.copy_(depthwise.reshape(space.weight.shape))
        points.weight.copy_(across.permute(1, 0, 2).reshape(points.weight.shape))
        if layer.bias is not None:
            points.bias.copy_(layer.bias)


def _macs(shapes: Iterable[LayerShape]) -> int:
    return sum(one.macs for one in shapes)


def _by_input(layer: Any) -> Any:
    """[in, out, points], in double precision."""
    return layer.weight.detach().double().transpose(0, 1).flatten(2)


def _full(layer: Any) -> bool:
    return bool(layer.groups == 1 and layer.in_channels > 1 and max(layer.kernel_size) > 1)
