"""What a trial of a model needs: examples on which every change shows, answers compared, candidates tried by halves."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from edgebuild.nn.prune import streamed
from edgebuild.nn.prune.dependencies import lost
from edgebuild.nn.prune.slicing import silenced
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from edgebuild.nn.prune.streamed import Axes
    from edgebuild.nn.prune.trace.follow import Traced

    Example = tuple[Tensor, ...]
    Answers = list[Tensor]

_BATCHES = (1, 3)
_SEED = 0
_TOLERANCES = {"float64": 1e-6, "float32": 1e-3}  # of the largest answer: what rounding may change

Candidate = TypeVar("Candidate")


@dataclass(frozen=True, slots=True)
class Trial:
    """A copy of a model that shows every change, examples that it runs on, and how far rounding may take answers.

    streamed: whether its parameters share the model's memory, and are taken to `dtype` one by one while it runs
    """

    module: nn.Module
    examples: Sequence[Example]
    dtype: torch.dtype
    streamed: bool

    def whole(self) -> list[Answers]:
        """The answers of each example."""
        tried = self._standing()
        with self._handed(tried, self.module):
            return self._answers(tried)

    def pruned(self, take_out: Callable[[nn.Module], None]) -> list[Answers]:
        """The answers of a copy that something was taken out of."""
        tried = streamed.sharing(self.module)
        take_out(tried)
        with self._handed(tried, tried):
            return self._answers(tried)

    def trains(self, take_out: Callable[[nn.Module], None] = lambda _: None) -> bool:
        """Whether a copy that something was taken out of runs in training mode, on as many examples as there are."""
        import torch

        tried = streamed.sharing(self.module)
        try:
            take_out(tried)
            with self._handed(tried, tried), torch.random.fork_rng(devices=[]):
                answers(tried.train(), max(self.examples, key=lambda example: len(example[0])))
        except Exception as error:  # the user's code may fail in any way
            if exhausted(error):
                raise
            return False
        return True

    def silenced(self, traced: Traced, gone: Collection[int]) -> list[Answers]:
        """The answers where what goes with these numbers is silent."""
        tried = self._standing()
        silent = {*dict(tried.named_parameters())} if self.streamed else {*()}
        axes = {name: at for name, at in lost(traced, gone).items() if name in silent}
        with self._handed(tried, self.module, axes), silenced(tried, traced, gone, axes):
            return self._answers(tried)

    def fits(self, observed: Sequence[Answers], expected: Sequence[Answers]) -> bool:
        """Whether the answers of all examples are the same, but for rounding."""
        tolerance = _TOLERANCES[str(self.dtype).removeprefix("torch.")]
        return all(alike(*pair, tolerance) for pair in zip(observed, expected, strict=True))

    def _standing(self) -> nn.Module:
        return streamed.hollow(self.module, self.dtype) if self.streamed else copy.deepcopy(self.module)

    def _handed(
        self, tried: nn.Module, sources: nn.Module, silent: Mapping[str, Axes] | None = None
    ) -> AbstractContextManager[Any]:
        return streamed.handed(tried, sources, self.dtype, silent or {}) if self.streamed else nullcontext()

    def _answers(self, tried: nn.Module) -> list[Answers]:
        return [answers(tried, example) for example in self.examples]


def prepared(module: nn.Module, example: Example) -> Trial:
    """The first of: double precision or single, normal noise, positive noise or zeros, for which answers are finite.

    Parameters whose values are all the same, as they are before training, would hide which of them went: they are
    moved a little, each on its own. A model that hands parameters to what no function of torch's sees (compiled code)
    is copied as a whole.
    """
    import torch

    streamed.forget(module)
    shaken = _shaken(streamed.sharing(module).eval())
    last: Exception | None = None
    for dtype, whole in ((torch.float64, False), (torch.float64, True), (torch.float32, True)):
        tried = copy.deepcopy(shaken).to(dtype) if whole else _with_buffers(streamed.sharing(shaken), dtype)
        for kind in ("normal", "positive", "zeros"):
            for batches in (_BATCHES, (len(example[0]),)):
                try:
                    examples = [noise(example, kind, batch, dtype) for batch in batches]
                    trial = Trial(tried, examples, dtype, streamed=not whole)
                    every = trial.whole()
                except Exception as error:  # the user's forward pass may want other inputs, and says so in any way
                    if exhausted(error):
                        raise
                    last = error
                    continue
                if all(bool(answer.isfinite().all()) for outputs in every for answer in outputs):
                    return trial
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


def _shaken(module: nn.Module) -> nn.Module:
    import torch

    generator = torch.Generator().manual_seed(_SEED)
    for value in [*module.parameters(), *module.buffers()]:
        flat = value.data.flatten()
        if value.is_floating_point() and len(flat) > 1 and bool((flat == flat[0]).all()):
            moved = 0.05 + 0.2 * torch.rand(value.shape, generator=generator, dtype=value.dtype)
            value.data = value.data + moved  # not in place: the memory is the model's
    return module


def _with_buffers(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Buffers in this precision, in place: they are small, and forward passes may write into them."""
    for held in module.buffers():
        if held.is_floating_point():
            held.data = held.data.to(dtype)
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
