"""Which layers of a file a quantization takes, and the refusal of those that have no kernel for it."""

from __future__ import annotations

from collections.abc import Iterable, Set

from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import suggest
from edgebuild.spec.quantization import Layer, Quantization


def kept(layers: Iterable[Layer], how: Quantization) -> tuple[Layer, ...]:
    """The layers that stay float; UsageError for a name that the file does not have."""
    known = {layer.name: layer for layer in layers}
    for name in how.keep:
        if name not in known:
            raise UsageError(f"the file has no layer {name!r}", option="keep", hint=suggest(name, known))
    return tuple(known[name] for name in how.keep)


def refuse_without_kernel(layers: Iterable[Layer], operators: Set[str], how: Quantization, runtime: str) -> None:
    """UsageError for the first layer that is not kept float and is none of these operators."""
    every = tuple(layers)
    for layer in every:
        if layer.operator not in operators and layer.name not in how.keep:
            words = f"{how.weights} weights" + (" in blocks" if how.granularity == "block" else "")
            message = f"layer {layer.name!r} is a {layer.operator}, for which {runtime} has no fast kernel with {words}"
            without = [one.name for one in every if one.operator not in operators]
            hint = f"keep = {without}" if len(without) < 9 else "name such layers in keep, or take int8 by channel"
            raise UsageError(message, option="keep", hint=hint.replace("'", '"'))
