"""Time from counted work: what a core would need for the instructions and cache misses of one inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebuild.spec.core import TimeModel

_LINE_BYTES = 64
_ORDER = ("l1i", "l1d", "l2", "l3")


def seconds(counted: Mapping[str, Any], model: TimeModel, clock: float, threads: int) -> float:
    """Predicted seconds of one inference on `threads` threads at `clock` Hz.

    cycles / threads / clock + misses × miss_cycles / clock + last cache's misses × 64 B / dram: all cores share the
    last cache and the memory, so compute alone is divided. Calibrated against the figures in `model.sources`.
    """
    caches = counted["caches"]
    last = max(caches, key=_ORDER.index)
    stalls = sum(caches[name]["misses"] * each for name, each in model.miss_cycles.items() if name != last)
    memory = caches[last]["misses"] * _LINE_BYTES / model.dram
    return float(counted["cycles"] / threads / clock + stalls / clock + memory)
