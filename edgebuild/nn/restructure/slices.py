"""Slices: narrower and shallower networks inside one, which compute with its weights.

A width keeps of each dependency group the units that come last in an order of what may go, so that every width has in
it all that a smaller one has (Yu et al. 2019, "Slimmable neural networks"). A slice may also leave out residual blocks,
the first ones of an order.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.nn import checkpoint, layers
from edgebuild.nn.answers import listed
from edgebuild.nn.prune import channels, shares
from edgebuild.nn.prune.channels import Inventory
from edgebuild.nn.prune.units import Units, least
from edgebuild.nn.prune.work import layer_work
from edgebuild.nn.restructure import blocks
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import LayerShape

if TYPE_CHECKING:
    from torch import Tensor, nn

    Answers = tuple[Tensor, ...]

FILE = "slices.json"


@dataclass(frozen=True, slots=True, order=True)
class Slice:
    """The share of each group's units that is left, and how many residual blocks are not."""

    width: float
    removed: int = 0

    def __str__(self) -> str:
        gone = f", {self.removed} block{'s' if self.removed > 1 else ''} fewer" if self.removed else ""
        return f"width {self.width:g}{gone}"


@dataclass(frozen=True, slots=True)
class Nest:
    """How the slices of a network lie in one another.

    order: the units of each group that can lose any, by its name: those that go first come first
    blocks: residual blocks by name, those that go first come first; slices leave out no others
    widths: that were trained, the whole (1) with them
    """

    widths: tuple[float, ...]
    round_to: int
    keep: tuple[str, ...]
    order: Mapping[str, Sequence[int]]
    blocks: tuple[str, ...]

    def slices(self) -> list[Slice]:
        """All of them, the whole last."""
        return sorted(
            (Slice(width, gone) for width in self.widths for gone in range(len(self.blocks) + 1)),
            key=lambda one: (one.width, -one.removed),
        )

    def write(self, folder: Path) -> None:
        """Keep it beside the network's weights."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Nest:
        """What `write` kept; UsageError where nothing was."""
        try:
            kept = json.loads((folder / FILE).read_text())
        except FileNotFoundError:
            raise UsageError("the model has no slices", hint="put `elastic` before it, and nothing between") from None
        widths, keep, inner = (tuple(kept[name]) for name in ("widths", "keep", "blocks"))
        return cls(widths, kept["round_to"], keep, kept["order"], inner)


@dataclass(frozen=True, slots=True)
class Sliced:
    """A network with what can go from it, and the order in which it goes."""

    module: nn.Module
    stock: Inventory
    nest: Nest

    @classmethod
    def of(cls, module: nn.Module, example: Answers, nest: Nest) -> Sliced:
        """Take stock of a module by a nest that was made of it; UsageError where the two do not fit."""
        stock = channels.inventory(module, example, layers.named(module, nest.keep, "elastic.keep"), nest.round_to)
        if {name: len(of) for name, of in nest.order.items()} != {one.name: len(one.members) for one in able(stock)}:
            raise UsageError("the slices are those of another network", hint="build again, without the store's entry")
        return cls(module, stock, nest)

    def gone(self, width: float) -> list[tuple[Units, list[int]]]:
        """The units that a width has not: of each group the first of its order."""
        import torch

        of = able(self.stock)
        stays = {one.name: shares.nearest(one, width * len(one.members)) for one in of}
        places = {name: torch.tensor(order).argsort() for name, order in self.nest.order.items()}
        return least(of, places, stays)

    def cut(self, chosen: Slice) -> tuple[nn.Module, tuple[Swap, ...]]:
        """A copy of the network that is that slice, and what stands in it where blocks stood."""
        module = copy.deepcopy(self.module)
        if gone := self.gone(chosen.width):
            self.stock.remove(module, gone)
        return blocks.without(module, self.nest.blocks[: chosen.removed])

    def shared(self, chosen: Slice) -> Shared:
        """The slice as something that computes with the parameters of the whole."""
        lost = self.stock.proven.dependencies.lost([(units.group, gone) for units, gone in self.gone(chosen.width)])
        return Shared(self.cut(chosen)[0], {name: _staying(self.module, name, axes) for name, axes in lost.items()})


@dataclass(frozen=True, slots=True)
class EverySlice:
    """The layers of a network and of all its slices."""

    def of(self, model: Path) -> Iterator[LayerShape]:
        """Their shapes, for a torch artifact; UsageError for one without slices."""
        known = checkpoint.load(model)
        sliced = Sliced.of(known.module, known.example(), Nest.read(model))
        for one in sliced.nest.slices():
            yield from (layer.shape for layer in layer_work(sliced.cut(one)[0], known.example()))


class Shared:
    """A slice whose parameters are parts of those of the whole, as which gradients flow into them.

    Its batch norms have statistics of their own, which training fills with what is worth nothing afterwards.
    """

    def __init__(self, module: nn.Module, stays: Mapping[str, Mapping[int, Tensor]]) -> None:
        """`stays` are the places that are left along each axis of parameters, by name; of others all are."""
        self.module, self._stays = module, stays

    def answers(self, whole: nn.Module, inputs: Answers) -> Answers:
        """What the slice of a module, as it is now, answers."""
        from torch.func import functional_call

        self.module.train(whole.training).to(inputs[0].device)
        held = dict(whole.named_parameters())
        parts = {name: self._part(name, held[name]) for name, _ in self.module.named_parameters()}
        return listed(functional_call(self.module, parts, inputs))

    def _part(self, name: str, parameter: Tensor) -> Tensor:
        for axis, places in self._stays.get(name, {}).items():
            parameter = parameter.index_select(axis, places.to(parameter.device))
        return parameter


def able(stock: Inventory) -> list[Units]:
    """The units that any may go of."""
    return [one for one in stock.units if not one.fixed]


def _staying(module: nn.Module, name: str, axes: Mapping[int, Any]) -> dict[int, Tensor]:
    import torch

    path, _, leaf = name.rpartition(".")
    shape = getattr(module.get_submodule(path), leaf).shape
    kept = {}
    for axis, places in axes.items():
        stays = torch.ones(shape[axis], dtype=torch.bool)
        stays[torch.from_numpy(places)] = False
        kept[axis] = stays.nonzero().flatten()
    return kept
