"""Answers of a module held beside those of what is to answer as it does, on noise in the shapes of an example."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]
    Answers = list[Tensor]

_SEED = 0


def noise(example: Example, kind: str, batch: int, dtype: torch.dtype) -> Example:
    """Seeded noise in the shapes of an example, of another batch and type: "normal", "positive", or zeros."""
    import torch

    generator = torch.Generator().manual_seed(_SEED)

    def one(like: Any) -> Tensor:
        shape = (batch, *like.shape[1:])
        if kind == "zeros":
            return torch.zeros(shape, dtype=dtype if like.is_floating_point() else like.dtype)
        if not like.is_floating_point():
            return torch.randint(0, 2, shape, generator=generator).to(like.dtype)
        draw = torch.randn if kind == "normal" else torch.rand
        return draw(shape, generator=generator, dtype=dtype)

    return tuple(one(like) for like in example)


def answers(module: nn.Module, example: Example) -> Answers:
    """All tensors that the module gives."""
    import torch
    from torch.utils import _pytree

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = module(*example)
    return [value for value in _pytree.tree_leaves(answer) if isinstance(value, torch.Tensor)]


def alike(observed: Answers, expected: Answers, tolerance: float) -> bool:
    """Whether answers have the same shapes, and differ by no more than `tolerance` of the largest."""
    if [value.shape for value in observed] != [value.shape for value in expected]:
        return False
    pairs = zip(observed, expected, strict=True)
    return all(one.numel() == 0 or _near(one, other, tolerance) for one, other in pairs)


def _near(one: Tensor, other: Tensor, tolerance: float) -> bool:
    import torch

    if one.dtype == torch.bool:
        return bool((one == other).all())
    return bool(((one - other).abs() <= tolerance * (other.abs().max() + 1e-12)).all())
