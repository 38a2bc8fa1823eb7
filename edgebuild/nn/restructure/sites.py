"""Where layers stand in a model: how many places each reads and gives in one example, seen while it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.prune.work import layer_work

if TYPE_CHECKING:
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]


def places(module: nn.Module, example: Example, layers: Mapping[str, nn.Module]) -> dict[str, tuple[int, int]]:
    """By name, of each layer that runs exactly once: rows or points that it reads, and that it gives.

    `example` has one example. What is called otherwise than as a module, or twice, is left out.
    """
    import torch

    seen: dict[str, list[tuple[int, int]]] = {name: [] for name in layers}

    def note(name: str) -> Any:
        def hook(layer: Any, taken: Any, given: Any) -> None:
            seen[name].append((_count(taken[0], layer.weight.ndim), _count(given, layer.weight.ndim)))

        return hook

    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            module.eval()(*example)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: found[0] for name, found in seen.items() if len(found) == 1}


def total(module: nn.Module, example: Example) -> int:
    """Multiply-accumulates of all layers with weights, of one example."""
    return sum(one.shape.macs for one in layer_work(module, example))


def _count(values: Tensor, axes: int) -> int:
    """Rows of a product, points of a convolution, whose weight has so many axes."""
    return math.prod(values.shape[:-1]) if axes == 2 else math.prod(values.shape[2:])
