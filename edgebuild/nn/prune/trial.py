"""What a trial of a model needs: examples on which every change shows, answers compared, candidates tried by halves."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]
    Answers = list[Tensor]

_BATCHES = (1, 3)
_SEED = 0
_TOLERANCES = {"float64": 1e-6, "float32": 1e-3}  # of the largest answer: what rounding may change

Candidate = TypeVar("Candidate")


@dataclass(frozen=True, slots=True)
class Trial:
    """A copy of a model that shows every change, examples that it runs on, and how far rounding may take answers."""

    module: nn.Module
    examples: Sequence[Example]
    tolerance: float


def prepared(module: nn.Module, example: Example) -> Trial:
    """The first of: double precision or single, normal noise, positive noise or zeros, for which answers are finite.

    Parameters whose values are all the same, as they are before training, would hide which of them went: they are
    moved a little, each on its own.
    """
    import torch

    shaken = _shaken(copy.deepcopy(module).eval())
    last: Exception | None = None
    for dtype in (torch.float64, torch.float32):
        for kind in ("normal", "positive", "zeros"):
            for batches in (_BATCHES, (len(example[0]),)):
                try:
                    tried = copy.deepcopy(shaken).to(dtype)
                    examples = [noise(example, kind, batch, dtype) for batch in batches]
                    every = [answers(tried, given) for given in examples]
                except Exception as error:  # the user's forward pass may want other inputs, and says so in any way
                    if exhausted(error):
                        raise
                    last = error
                    continue
                if all(bool(answer.isfinite().all()) for given in every for answer in given):
                    return Trial(tried, examples, _TOLERANCES[str(dtype).removeprefix("torch.")])
    raise last or ValueError("the model's answers are not finite")


def unsound(candidates: Sequence[Candidate], fault: Callable[[Sequence[Candidate]], str | None]) -> dict[int, str]:
    """The candidates, by their place, that cannot go, and why: all at once if that works, else by halves.

    Most models pass at once. What each passes alone and not together is taken in one by one.
    """
    return _unsound([*range(len(candidates))], lambda chosen: fault([candidates[number] for number in chosen]))


def _unsound(chosen: list[int], fault: Callable[[list[int]], str | None]) -> dict[int, str]:
    if not chosen or (why := fault(chosen)) is None:
        return {}
    if len(chosen) == 1:
        return {chosen[0]: why}
    half = len(chosen) // 2
    bad = _unsound(chosen[:half], fault) | _unsound(chosen[half:], fault)
    good = [number for number in chosen if number not in bad]
    if not good or fault(good) is None:
        return bad
    kept: list[int] = []
    for number in good:
        if (why := fault([*kept, number])) is None:
            kept.append(number)
        else:
            bad[number] = why
    return bad


def answers(module: nn.Module, example: Example) -> Answers:
    """All tensors that the module gives."""
    import torch
    from torch.utils import _pytree

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = module(*example)
    return [value for value in _pytree.tree_leaves(given) if isinstance(value, torch.Tensor)]


def alike(given: Answers, wanted: Answers, tolerance: float) -> bool:
    """Whether answers have the same shapes, and differ by no more than `tolerance` of the largest."""
    if [value.shape for value in given] != [value.shape for value in wanted]:
        return False
    return all(
        bool(((one - other).abs() <= tolerance * (other.abs().max() + 1e-12)).all()) if one.numel() else True
        for one, other in zip(given, wanted, strict=True)
    )


def _shaken(module: nn.Module) -> nn.Module:
    import torch

    generator = torch.Generator().manual_seed(_SEED)
    for value in [*module.parameters(), *module.buffers()]:
        flat = value.data.flatten()
        if value.is_floating_point() and len(flat) > 1 and bool((flat == flat[0]).all()):
            value.data += 0.05 + 0.2 * torch.rand(value.shape, generator=generator, dtype=value.dtype)
    return module


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
