"""Transposed convolutions with groups, which become a slice and an operator for each group, as slow as many of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, cropped, each, transposed_sizes
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class TransposedGroups(Rewrite):
    """A transposed convolution with groups becomes a convolution that makes all phases, which are then interleaved.

    Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?".
    """

    operators: ClassVar[tuple[str, ...]] = ("conv_transpose1d.default", "conv_transpose2d.input")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "slow"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Of kernels without holes."""
        groups, dilation = argument(node, 6, "groups", 1), argument(node, 7, "dilation", 1)
        return _phases if groups > 1 and {*each(dilation, 1)} == {1} else None


def _phases(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    import torch

    axes = x.ndim - 2
    step, border, more = each(stride, axes), each(padding, axes), each(output_padding, axes)
    sizes = transposed_sizes(x.shape[2:], weight.shape[2:], step, border, more, (1,) * axes)
    kernel, phases = _kernel(weight, step, more, groups)
    every = None if bias is None else torch.stack([bias] * phases, 1).flatten()  # which converters fold
    around = [size - 1 for size in kernel.shape[2:]]
    y = (torch.conv1d if axes == 1 else torch.conv2d)(x, kernel, every, padding=around, groups=groups)
    return cropped(_interleaved(y, step), border, sizes)


def _kernel(weight: Tensor, step: Sequence[int], more: Sequence[int], groups: int) -> tuple[Tensor, int]:
    """The weights [Cin, Cout/g, …] as those of a convolution to the phases of each channel: [Cout·phases, Cin/g, …]."""
    import torch
    from torch.nn import functional

    spatial = tuple(range(2, weight.ndim))
    full = [-(-(size + o) // s) * s for size, o, s in zip(weight.shape[2:], more, step, strict=True)]
    lacking = [f - size for f, size in zip(full, weight.shape[2:], strict=True)]
    padded = functional.pad(weight, [side for one in reversed(lacking) for side in (0, one)])
    pieces = []
    for phase in itertools.product(*map(range, step)):
        piece = padded
        for axis, first, s in zip(spatial, phase, step, strict=True):
            piece = piece[(slice(None),) * axis + (slice(first, None, s),)]
        pieces.append(piece.flip(spatial))
    stacked, inputs = torch.stack(pieces, 2), weight.shape[0] // groups
    rows = stacked.reshape(groups, inputs, weight.shape[1] * len(pieces), -1).transpose(1, 2)
    return rows.reshape(-1, inputs, *pieces[0].shape[2:]), len(pieces)


def _interleaved(y: Tensor, step: Sequence[int]) -> Tensor:
    """[N, C·phases, …] with the phases of each axis between one another: [N, C, …]."""
    import torch

    if len(step) == 2 and step[0] == step[1]:
        return torch.pixel_shuffle(y, step[0])
    for axis, s in reversed([*enumerate(step, 2)]):  # the last axis has the innermost phases
        shape = [*y.shape]
        before, behind = shape[2:axis], shape[axis + 1 :]
        flat = y.reshape(shape[0] * shape[1] // s, s, *before, shape[axis], *behind)
        y = flat.movedim(1, axis).reshape(shape[0], shape[1] // s, *before, shape[axis] * s, *behind)
    return y
