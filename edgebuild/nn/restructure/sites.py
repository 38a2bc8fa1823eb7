"""Where layers stand in a model: how many places each reads and gives in one example, seen while it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.nn.prune.work import layer_work

if TYPE_CHECKING:
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]


def places(module: nn.Module, example: Example, layers: Mapping[str, nn.Module]) -> dict[str, tuple[int, int]]:
    """By name, of each layer that runs exactly once: rows or points that it reads, and that it gives.

    `example` has one example. What is called otherwise than as a module, or twice, is left out.
    """
    calls = _calls(module, example, layers)
    axes = {name: layer.get_parameter("weight").ndim for name, layer in layers.items()}
    counts = {
        name: tuple(_count(shape, axes[name]) for shape in seen[0]) for name, seen in calls.items() if len(seen) == 1
    }
    return {name: (read, written) for name, (read, written) in counts.items()}


def once(module: nn.Module, example: Example, layers: Mapping[str, nn.Module]) -> list[str]:
    """Those that run exactly once, as modules."""
    return [name for name, seen in _calls(module, example, layers).items() if len(seen) == 1]


def given(module: nn.Module, example: Example, parts: Mapping[str, nn.Module]) -> dict[str, list[tuple[int, ...]]]:
    """By name, the shape that each part gives, of every time that it runs."""
    return {name: [after for _, after in seen] for name, seen in _calls(module, example, parts).items()}


def total(module: nn.Module, example: Example) -> int:
    """Multiply-accumulates of all layers with weights, of one example."""
    return sum(one.shape.macs for one in layer_work(module, example))


def _calls(
    module: nn.Module, example: Example, parts: Mapping[str, nn.Module]
) -> dict[str, list[tuple[tuple[int, ...], tuple[int, ...]]]]:
    """Shapes of the first input and of the output of each call, by the name of the part."""
    import torch

    seen: dict[str, list[tuple[tuple[int, ...], tuple[int, ...]]]] = {name: [] for name in parts}

    def note(name: str) -> Any:
        def hook(part: Any, taken: Any, returned: Any) -> None:
            seen[name].append((tuple(taken[0].shape), tuple(returned.shape)))

        return hook

    hooks = [part.register_forward_hook(note(name)) for name, part in parts.items()]
    try:
        with torch.no_grad():
            module.eval()(*example)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _count(shape: Sequence[int], axes: int) -> int:
    """Rows of a product, points of a convolution, whose weight has so many axes."""
    return math.prod(shape[:-1]) if axes == 2 else math.prod(shape[2:])
