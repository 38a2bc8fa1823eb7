"""Soups: the mean of the weights of several trainings of one network, chosen by validation (Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    State = Mapping[str, Tensor]
    Evaluate = Callable[[nn.Module, bool], float]  # of a module, and whether its weights are mixed

Way = Literal["greedy", "uniform"]


@dataclass(frozen=True, slots=True)
class Soup:
    """Which of the trainings are in it, by number, its validation loss, and that of each training alone."""

    taken: tuple[int, ...]
    loss: float
    alone: tuple[float, ...]

    def line(self, way: Way, names: Sequence[str], n: int) -> str:
        """What was chosen, for people."""
        best = min(range(len(self.alone)), key=self.alone.__getitem__)
        chosen = " and ".join(names[number] for number in self.taken)
        text = f"{way} soup of {len(self.alone)}, by {n} validation examples: {chosen}, loss {self.loss:.4g}; "
        return text + f"{names[best]} alone {self.alone[best]:.4g}"


def cook(module: nn.Module, states: Sequence[State], way: Way, evaluate: Evaluate) -> Soup:
    """Leave the soup in the module; it is never worse on what `evaluate` sees than the best single training.

    `evaluate` gives the loss of a module whose weights have just been set, and where they are mixed sets its statistics
    before: those of a single training are its own. Greedy: from the best on, each is taken in that does not make the
    mean worse. Uniform: all; where their mean is worse than the best one alone, that one.
    """
    alone = tuple(_loss(module, [state], evaluate) for state in states)
    order = sorted(range(len(states)), key=alone.__getitem__)
    taken, least = [order[0]], alone[order[0]]
    if way == "uniform":
        together = _loss(module, states, evaluate)
        taken, least = (sorted(order), together) if together <= least else (taken, least)
    else:
        for number in order[1:]:
            tried = _loss(module, [states[each] for each in (*taken, number)], evaluate)
            if tried <= least:
                taken, least = [*taken, number], tried
    least = _loss(module, [states[number] for number in taken], evaluate)
    return Soup(tuple(taken), least, alone)


def _loss(module: nn.Module, states: Sequence[State], evaluate: Evaluate) -> float:
    module.load_state_dict(mean(states))
    return evaluate(module, len(states) > 1)


def mean(states: Sequence[State]) -> dict[str, Tensor]:
    """The plain mean of every tensor of floats; counts are the first's."""
    import torch

    first = states[0]
    mixed = {}
    for name, tensor in first.items():
        every = [state[name] for state in states]
        whole = not tensor.is_floating_point()
        mixed[name] = tensor if whole or len(every) == 1 else torch.stack(every).mean(0)
    return mixed


def check(names: Sequence[str], states: Sequence[State]) -> None:
    """UsageError, which names no file, unless all are of one structure."""
    (first, *others), reference = names, states[0]
    for name, state in zip(others, states[1:], strict=True):
        lacking = next((key for key in reference if key not in state), None) or next(
            (key for key in state if key not in reference), None
        )
        if lacking is not None:
            raise UsageError(f"{name!r} is another network than {first!r}: only one of them has {lacking!r}")
        for key, tensor in reference.items():
            if tensor.shape != state[key].shape:
                difference = f"{key!r} is {list(state[key].shape)} there, and {list(tensor.shape)} here"
                raise UsageError(f"{name!r} is another network than {first!r}: {difference}")
