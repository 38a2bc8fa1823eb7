"""Ranges of activations from what a float file computes on calibration data; the same rules for every format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from itertools import islice
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _histogram
from edgebuild.formats._histogram import Histogram
from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import suggest
from edgebuild.spec.quantization import NO_RANGE, Quantization, Range
from edgebuild.spec.spread import Spread

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Pass = Callable[[], Iterable[Mapping[str, Array]]]

# Examples whose minimum and maximum count as one observation.
_BATCH = 16
# Weight of the old average when a new observation comes (Jacob et al., CVPR 2018: close to 1; AI Edge Quantizer: 0.95).
_MOMENTUM = 0.95
# A range that leaves out more of what was seen does not belong to this tensor.
_CLIPPED = 0.1


def calibrate(activations: Pass, how: Quantization) -> dict[str, Range]:
    """The range of every tensor; `activations()` gives all tensors of one example after another, as often as called.

    A range always holds 0, so that padding and ReLU are exact (Jacob et al., CVPR 2018). It is (0, 0) where nothing
    else was seen, and NO_RANGE where values stand for none, as in a mask. A given (0, 0) says that nothing was seen
    before, which limits nothing: what is seen now counts. UsageError names the tensor that has NaN,
    that a range clips too much, or for which a range is given though there is none of that name.
    """
    spreads = _spreads(activations())
    if not spreads and next(iter(activations()), None) is None:
        raise UsageError("no calibration examples: no tensor has a range", option="calibration")
    if not spreads:
        hint = "take this step out of the recipe: the file can be judged and bundled as it is"
        raise UsageError("the file computes nothing in float32: there is nothing to quantize", hint=hint)
    masked = {name: NO_RANGE for name, spread in spreads.items() if spread.masked}
    extremes = {name: spread.ends for name, spread in spreads.items()}
    if how.calibrator == "minmax" and not how.ranges:
        return extremes | masked
    seen = _histograms(activations(), extremes)
    if search := _histogram.SEARCHES.get(how.calibrator):
        ranges = {name: search(one, how) if any(extremes[name]) else (0.0, 0.0) for name, one in seen.items()}
    else:
        ranges = extremes if how.calibrator == "minmax" else _averages(activations())
    learnt = _learnt(how.ranges, extremes)
    _refuse_clipping(ranges | learnt, seen, learnt.keys())
    return ranges | learnt | masked


def _learnt(ranges: Mapping[str, Range], known: Mapping[str, Range]) -> dict[str, Range]:
    for name, (low, high) in ranges.items():
        if name not in known:
            raise UsageError(f"a range is given for {name!r}, which no operator writes", hint=suggest(name, known))
        if not low <= 0.0 <= high:
            raise UsageError(f"the range given for tensor {name!r} is {low:g} to {high:g}: it must hold 0")
    return {name: (float(low), float(high)) for name, (low, high) in ranges.items() if low < high}


def _spreads(examples: Iterable[Mapping[str, Array]]) -> dict[str, Spread]:
    spreads: dict[str, Spread] = {}
    for values in examples:
        for name, tensor in values.items():
            _refuse_unreal(name, tensor)
            spreads.setdefault(name, Spread()).add(tensor)
    return spreads


def _averages(examples: Iterable[Mapping[str, Array]]) -> dict[str, Range]:
    """Exponential moving averages of each batch's minimum and maximum, in the examples' order."""
    averages: dict[str, Range] = {}
    waiting = iter(examples)
    while batch := list(islice(waiting, _BATCH)):
        for name, spread in _spreads(batch).items():
            low, high = spread.ends
            old = averages.get(name, (low, high))
            averages[name] = _mixed(old[0], low), _mixed(old[1], high)
    return averages


def _mixed(old: float, new: float) -> float:
    return _MOMENTUM * old + (1 - _MOMENTUM) * new


def _histograms(examples: Iterable[Mapping[str, Array]], extremes: Mapping[str, Range]) -> dict[str, Histogram]:
    histograms = {name: Histogram.empty(extreme) for name, extreme in extremes.items()}
    for values in examples:
        for name, tensor in values.items():
            histograms[name].add(tensor)
    return histograms


def _refuse_unreal(name: str, tensor: Array) -> None:
    """UsageError for what no range can be taken from: a tensor with NaN.

    One without values (what a split leaves over) is like one that is always 0, and one without a finite value a mask.
    """
    import numpy as np

    if np.isnan(tensor).any():
        raise UsageError(f"tensor {name!r} has NaN on calibration data")


def _refuse_clipping(ranges: Mapping[str, Range], seen: Mapping[str, Histogram], learnt: Set[str]) -> None:
    for name, (low, high) in ranges.items():
        if low == high:
            continue
        clipped = seen[name].outside(low, high)
        if clipped > _CLIPPED:
            message = f"the range {low:g} to {high:g} of tensor {name!r} clips {clipped:.1%} of its values"
            if name in learnt:
                raise UsageError(
                    message, key="qat", hint="train longer, or let its ranges follow with a higher momentum"
                )
            raise UsageError(message, option="calibrator", hint="take minmax, or a higher percentile")
