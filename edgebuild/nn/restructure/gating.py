"""Gates by channel (squeeze and excitation, Hu et al. 2018) that fixed scales may stand for, and what both take.

A gate is known by what it does: what it gives is what it was given times a number for each channel of each example.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.nn import checkpoint
from edgebuild.nn.prune.work import layer_work
from edgebuild.nn.restructure import swaps
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.nn.restructure.times import Exchange
from edgebuild.spec.evidence import LayerShape

if TYPE_CHECKING:
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]
    Calls = dict[str, list[tuple[Tensor, Tensor]]]

_CLOSE = 1e-4  # of the largest value: how far a gate's answer is from a product
_LAYERS = 2  # with weights that a gate has at the least: a scale that is fixed already has one


@dataclass(frozen=True, slots=True)
class Gated:
    """The layers of a model, its gates, and the fixed scales that may stand for them."""

    def of(self, model: Path) -> Iterator[LayerShape]:
        """Their shapes, for a torch artifact."""
        known = checkpoint.load(model)
        yield from (one.shape for one in layer_work(known.module, known.example()))
        for one in exchanges(known.module, known.example()).values():
            yield from (*one.before, *one.after)


def exchanges(module: nn.Module, example: Example, keep: Iterable[nn.Module] = ()) -> dict[str, Exchange]:
    """The gates by name, each with one name that runs once, and the depthwise convolution of one point that each would
    be. They are looked for with noise in the place of the example's values.
    """
    import torch

    torch.manual_seed(0)
    noise = tuple(
        torch.rand(2, *one.shape[1:]) if one.is_floating_point() else one.expand(2, *one.shape[1:]) for one in example
    )
    parts = _candidates(module, keep)
    gates = {}
    for name, calls in _calls(module, parts, [noise]).items():
        if len(calls) == 1 and _is_gate(*calls[0]):
            gates[name] = _exchange(parts[name], tuple(calls[0][0].shape))
    return gates


def fixed(module: nn.Module, names: Iterable[str], examples: Iterable[Example]) -> tuple[nn.Module, tuple[Swap, ...]]:
    """A copy of the module in which scales stand for these gates: those nearest to what the gates gave."""
    names = (*names,)
    scales = nearest(module, names, examples)

    def fill(part: nn.Module, old: nn.Module) -> None:
        name = next(name for name in names if module.get_submodule(name) is old)
        part.get_parameter("weight").data.copy_(scales[name].reshape(part.get_parameter("weight").shape))

    parts = {name: Swap(name, "scale", _sizes(module, name, scales[name])) for name in names}
    return swaps.exchanged(module, parts, fill), tuple(parts.values())


def nearest(module: nn.Module, names: Iterable[str], examples: Iterable[Example]) -> dict[str, Tensor]:
    """The scales [C] by name that come nearest to what gates gave to these examples, in least squares."""
    import torch

    parts = {name: module.get_submodule(name) for name in names}
    sums: dict[str, list[Tensor]] = {}
    for batch in examples:
        for name, calls in _calls(module, parts, [batch]).items():
            for taken, returned in calls:
                both = [(taken * each).transpose(0, 1).flatten(1).double().sum(1) for each in (returned, taken)]
                sums[name] = [a + b for a, b in zip(sums[name], both, strict=True)] if name in sums else both
    return {name: (crossed / own.clamp_min(1e-30)).to(torch.float32) for name, (crossed, own) in sums.items()}


def _candidates(module: nn.Module, keep: Iterable[nn.Module]) -> Mapping[str, nn.Module]:
    kinds = {type(part) for _, part in module.named_modules() if len(_weights(part)) >= _LAYERS}
    return swaps.candidates(module, [*kinds], keep)


def _weights(part: nn.Module) -> list[Tensor]:
    """Those of its convolutions and linear layers."""
    return [each for name, each in part.named_parameters() if name.endswith("weight") and each.ndim > 1]


def _is_gate(taken: Tensor, returned: Tensor) -> bool:
    if taken.shape != returned.shape or taken.ndim < 3 or taken[0, 0].numel() == 1:
        return False  # of one place whatever is answered is a product
    rows, answers = taken.flatten(2), returned.flatten(2)
    gates = (rows * answers).sum(2) / rows.square().sum(2).clamp_min(1e-30)
    off = float((answers - gates[..., None] * rows).abs().max())
    return off <= _CLOSE * float(answers.abs().max()) and float((gates[0] - gates[1]).abs().max()) > 0


def _exchange(part: nn.Module, shape: tuple[int, ...]) -> Exchange:
    channels, places = shape[1], shape[2:]
    hidden = min(len(weight) for weight in _weights(part))
    ones, none = (1,) * len(places), (0,) * len(places)
    scale = LayerShape("convolution", channels, channels, places, channels, ones, ones, none, ones)
    return Exchange((LayerShape("gate", channels, hidden, places),), (scale,))


def _sizes(module: nn.Module, name: str, scale: Tensor) -> tuple[int, ...]:
    """Channels, and how many axes of places there are: as many as the gate's layers have, or two where these have
    none.
    """
    axes = max(weight.ndim - 2 for weight in _weights(module.get_submodule(name)))
    return (len(scale), axes or 2)


def _calls(module: nn.Module, parts: Mapping[str, nn.Module], batches: Iterable[Example]) -> Calls:
    """What each part takes and gives, of every time that it runs with one tensor."""
    import torch

    seen: Calls = {name: [] for name in parts}

    def note(name: str) -> Any:
        def hook(part: Any, taken: Any, returned: Any) -> None:
            if len(taken) == 1 and isinstance(taken[0], torch.Tensor) and isinstance(returned, torch.Tensor):
                seen[name].append((taken[0], returned))

        return hook

    hooks = [part.register_forward_hook(note(name)) for name, part in parts.items()]
    try:
        with torch.no_grad():
            for batch in batches:
                module.eval()(*batch)
    finally:
        for hook in hooks:
            hook.remove()
    return seen
