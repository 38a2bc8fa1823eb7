"""Which parts of a module its code lets others stand for: each is tried with one of the new class and the old answers.

Code may read a layer's attributes or weight (`self.fc.out_features`), or ask for its class (`isinstance`). What will
stand there has others, so each place gets the part that will stand there, which answers as the old one did: whatever
the module does otherwise then, it does because of the class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebuild.nn import comparison, halving
from edgebuild.nn.prune import streamed
from edgebuild.nn.restructure import swaps
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    from torch import nn

    from edgebuild.nn.comparison import Answers, Example

_BATCH, _SEED = 2, 0
_TOLERANCE = 1e-5  # of the largest answer: the same kernels compute both


def unable(module: nn.Module, example: Example, chosen: Mapping[str, Swap]) -> dict[str, str]:
    """The parts, by name, for which these swaps cannot stand, and why; the module is not changed.

    All are tried at once, in eval and in training mode, and by halves where that fails.
    """
    names, runs = [*chosen], [*_runs(module, example)] if chosen else []

    def fault(some: Sequence[str]) -> str | None:
        tried = {name: chosen[name] for name in some}
        return next((why for run in runs if (why := run.fault(tried)) is not None), None)

    return {names[place]: why for place, why in halving.unsound(names, fault).items()}


def remarks(reasons: Mapping[str, str]) -> list[str]:
    """A line for each part that stays though nobody asked for it."""
    return [f"{name!r} stays as it is: {why}" for name, why in reasons.items()]


@dataclass(frozen=True, slots=True)
class _Run:
    """The module in one mode on an example, and what it answers there."""

    module: nn.Module
    example: Example
    training: bool
    expected: Answers

    def fault(self, chosen: Mapping[str, Swap]) -> str | None:
        """Why these cannot stand in it together, None where they can."""
        name = type(swaps.built(self.module.get_submodule(next(iter(chosen))), next(iter(chosen.values())))).__name__
        within = f"with an nn.{name} in its place the model"
        mode = " in training mode" if self.training else ""
        try:
            observed = _answers(self.module, self.example, self.training, chosen)
        except Exception as error:  # code that asks a part for what it has not fails in any way
            if exhausted(error):
                raise
            first = str(error).strip().partition("\n")[0][:160]
            return f"{within} does not run{mode} ({type(error).__name__}: {first})"
        if comparison.alike(observed, self.expected, _TOLERANCE) or not self._steady():
            return None
        return f"{within} answers otherwise{mode}, so its code asks for the class"

    def _steady(self) -> bool:
        """Whether the module as it is answers the same twice; else answers tell nothing."""
        return comparison.alike(_answers(self.module, self.example, self.training, {}), self.expected, _TOLERANCE)


def _runs(module: nn.Module, example: Example) -> Iterator[_Run]:
    """In eval mode, on noise where it runs on that; in training mode where it runs at all."""
    import torch

    noise = [comparison.noise(example, "normal", batch, torch.float32) for batch in (_BATCH, len(example[0]))]
    for training in (False, True):
        for inputs in (*noise, example):
            try:
                expected = _answers(module, inputs, training, {})
            except Exception as error:  # a forward pass may want other inputs, and says so in any way
                if exhausted(error):
                    raise
                continue
            yield _Run(module, inputs, training, expected)
            break


def _answers(module: nn.Module, inputs: Example, training: bool, chosen: Mapping[str, Swap]) -> Answers:
    """What a copy answers in which parts stand that give what the old ones gave."""
    import torch

    tried = streamed.sharing(module).train(training)
    for name, swap in chosen.items():
        old = tried.get_submodule(name)
        part = swaps.built(old, swap)
        part.forward = old.__call__
        swaps.place(tried, name, part)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return comparison.answers(tried, inputs)
