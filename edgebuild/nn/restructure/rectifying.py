"""Activations that rectifiers may stand for, and what they take beyond one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.nn import checkpoint
from edgebuild.nn.prune.work import layer_work
from edgebuild.nn.restructure import sites, swaps
from edgebuild.nn.restructure.times import Exchange
from edgebuild.spec.evidence import LayerShape

if TYPE_CHECKING:
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]


RECTIFIERS = {"relu": "ReLU", "relu6": "ReLU6"}  # classes of torch.nn by the names of parts


@dataclass(frozen=True, slots=True)
class Activations:
    """The layers of a model, its activations of these classes of torch.nn, and what may stand for them."""

    kinds: tuple[str, ...]
    by: str

    def of(self, model: Path) -> Iterator[LayerShape]:
        """Their shapes, for a torch artifact."""
        known = checkpoint.load(model)
        yield from (one.shape for one in layer_work(known.module, known.example()))
        for one in exchanges(known.module, known.example(), self.kinds, self.by).values():
            yield from (*one.before, *one.after)


def exchanges(
    module: nn.Module, example: Example, kinds: Sequence[str], by: str, keep: Iterable[nn.Module] = ()
) -> dict[str, Exchange]:
    """The modules of these classes by name, each with one name, and what they would be: `by` is a part's name.

    A module that runs several times takes the time of all.
    """
    from torch import nn

    parts = swaps.candidates(module, [getattr(nn, kind) for kind in kinds], keep)
    shapes = sites.given(module, example, parts)
    return {name: _exchange(type(part).__name__, RECTIFIERS[by], shapes[name]) for name, part in parts.items()}


def _exchange(before: str, after: str, shapes: Sequence[Sequence[int]]) -> Exchange:
    old, new = (tuple(_shape(kind, sizes) for sizes in shapes) for kind in (before, after))
    return Exchange(old, new)


def _shape(kind: str, sizes: Sequence[int]) -> LayerShape:
    """Of what it gives, [1, channels, …places] or [1, …rows, features]."""
    if len(sizes) > 3:
        return LayerShape("activation", sizes[1], sizes[1], tuple(sizes[2:]), function=kind)
    rows = math.prod(sizes[1:-1])
    return LayerShape("activation", sizes[-1], sizes[-1], (rows,), function=kind)
