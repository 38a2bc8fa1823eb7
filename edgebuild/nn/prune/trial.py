"""What a trial of a model needs: a copy that shows every change, and examples on which it does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.comparison import alike, answers, noise
from edgebuild.nn.prune import streamed
from edgebuild.nn.prune.dependencies import lost
from edgebuild.nn.prune.slicing import silenced
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgebuild.nn.comparison import Answers, Example
    from edgebuild.nn.prune.streamed import Axes
    from edgebuild.nn.prune.trace.follow import Traced

_BATCHES = (1, 3)
_SEED = 0
_TOLERANCES = {"float64": 1e-6, "float32": 1e-3}  # of the largest answer: what rounding may change


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
