"""Which sub-modules of a freshly built model are others than its code builds: recorded by name, without code."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebuild.nn.restructure.parts import PARTS

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Swap:
    """`part` (a file in `parts/`) stands where the code builds the sub-module `path`; `sizes` are what it asks for."""

    path: str
    part: str
    sizes: tuple[int, ...] = ()


def apply(module: nn.Module, swaps: Iterable[Swap]) -> None:
    """Put the parts in, one after another, in place; they have no weights of their own yet."""
    for swap in swaps:
        place(module, swap.path, built(module.get_submodule(swap.path), swap))


def built(old: nn.Module, swap: Swap) -> nn.Module:
    """The part that a swap puts in the place of `old`."""
    part: nn.Module = PARTS[swap.part](old, swap.sizes)
    return part.train(old.training)


def place(module: nn.Module, path: str, part: nn.Module) -> None:
    """Put a part where `path` leads, in place."""
    owner, _, name = path.rpartition(".")
    setattr(module.get_submodule(owner), name, part)


def candidates(module: nn.Module, kinds: Sequence[type[nn.Module]], keep: Iterable[nn.Module]) -> dict[str, nn.Module]:
    """The sub-modules of exactly these kinds, by name: each that has one name only and is not to be kept.

    Left out are those with hooks, which what stands in their place would not have.
    """
    kept = {id(part) for part in keep}
    names: dict[int, list[str]] = {}
    for name, part in module.named_modules(remove_duplicate=False):
        names.setdefault(id(part), []).append(name)
    parts = {name: part for name, part in module.named_modules() if name and type(part) in kinds}
    able = {name: part for name, part in parts.items() if len(names[id(part)]) == 1 and id(part) not in kept}
    return {name: part for name, part in able.items() if not part._forward_hooks and not part._forward_pre_hooks}


def exchanged(
    module: nn.Module, chosen: Mapping[str, Swap], fill: Callable[[nn.Module, nn.Module], None] | None = None
) -> nn.Module:
    """A copy of the module with these parts by the names of what they replace, each filled from that."""
    changed = copy.deepcopy(module)
    for name, swap in chosen.items():
        old = module.get_submodule(name)
        part = built(old, swap)
        if fill is not None:
            fill(part, old)
        place(changed, name, part)
    return changed
