"""Ranges of activations from what a float file computes on calibration data; the same rules for every format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import UsageError
from edgebuild.spec.quantization import Quantization, Range

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Pass = Callable[[], Iterable[Mapping[str, Array]]]

# Beyond it a value stands for "no value", as the -inf of an attention mask does; it must not stretch a range.
_LIMIT = 3e38


def calibrate(activations: Pass, how: Quantization) -> dict[str, Range]:
    """The range of every tensor; `activations()` gives all tensors of one example after another, as often as called.

    A range always holds 0, so that padding and ReLU are exact (Jacob et al., CVPR 2018).
    UsageError for NaN, for no examples and for a tensor without a finite value.
    """
    found = _extremes(activations())
    if not found:
        raise UsageError("no calibration examples: no tensor has a range", key="calibration")
    return {name: (min(low, 0.0), max(high, 0.0)) for name, (low, high) in found.items()}


def _extremes(examples: Iterable[Mapping[str, Array]]) -> dict[str, Range]:
    found: dict[str, Range] = {}
    for values in examples:
        for name, tensor in values.items():
            low, high = _of_one(name, tensor)
            old = found.get(name, (low, high))
            found[name] = min(low, old[0]), max(high, old[1])
    return found


def _of_one(name: str, tensor: Array) -> Range:
    import numpy as np

    finite = tensor[np.abs(tensor) < _LIMIT]
    if np.isnan(tensor).any() or not finite.size:
        raise UsageError(f"tensor {name!r} has {'NaN' if finite.size else 'no finite value'} on calibration data")
    return float(finite.min()), float(finite.max())
