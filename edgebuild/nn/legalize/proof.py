"""Whether a rewritten module answers as the original does, in double precision where its code lets it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebuild.nn import comparison
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]

LARGEST = 1e-5  # of the largest answer: what a rewrite may change


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A module, the layers in which each rewrite found something, and the same with some of the rewrites only."""

    module: nn.Module
    layers: Mapping[str, list[str]]
    only: Callable[[Collection[str]], nn.Module]


def wrong(original: nn.Module, example: Example, rewritten: Rewritten) -> dict[str, float]:
    """The rewrites that change an answer by more than LARGEST, and by how much; all where none alone is to blame."""
    far = distance(original, rewritten.module, example)
    if far <= LARGEST:
        return {}
    alone = {name: distance(original, rewritten.only([name]), example) for name in rewritten.layers}
    return {name: each for name, each in alone.items() if each > LARGEST} or dict.fromkeys(rewritten.layers, far)


def distance(original: nn.Module, rewritten: nn.Module, example: Example) -> float:
    """The largest difference of answers to noise in the shape of `example`, in shares of the largest answer.

    Infinite for answers of other shapes and for a module that does not run.
    """
    import torch

    for dtype in (torch.float64, torch.float32):
        inputs = comparison.noise(example, "normal", len(example[0]), dtype) if example else ()
        with contextlib.suppress(_Unable):
            return _distance(*(_answers(module, inputs, dtype) for module in (rewritten, original)))
    return float("inf")


class _Unable(Exception):
    """A module does not run in a type, which may be written into its code."""


def _answers(module: nn.Module, example: Example, dtype: torch.dtype) -> list[Tensor]:
    """What a module answers with its values in a type; it is not changed."""
    from torch import nn
    from torch.func import functional_call

    class Typed(nn.Module):
        def forward(self, *inputs: Tensor) -> object:
            return functional_call(module, values, inputs)

    own = [*module.named_parameters(), *module.named_buffers()]
    values = {name: value.to(dtype) if value.is_floating_point() else value for name, value in own}
    try:
        return comparison.answers(Typed(), example)
    except Exception as error:  # in whatever words
        if exhausted(error):
            raise
        raise _Unable from error


def _distance(answers: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    import torch

    if [one.shape for one in answers] != [one.shape for one in expected]:
        return float("inf")
    pairs = [(one.double(), other.double()) for one, other in zip(answers, expected, strict=True) if one.numel()]
    if not all(torch.equal(one.isfinite(), other.isfinite()) for one, other in pairs):
        return float("inf")
    far = [
        float((one - other).nan_to_num().abs().max() / (other.nan_to_num().abs().max() + 1e-12)) for one, other in pairs
    ]
    return max(far, default=0.0)
