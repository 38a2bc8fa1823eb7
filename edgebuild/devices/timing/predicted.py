"""Time from counted work: what a core would need for the instructions and cache misses of one inference."""

from __future__ import annotations

from edgebuild.spec.core import TimeModel
from edgebuild.spec.evidence import Counted, SharedWork

_LINE_BYTES = 64
_ORDER = ("l1i", "l1d", "l2", "l3")


def seconds(counted: Counted, model: TimeModel, clock: float, threads: int) -> float:
    """Predicted seconds of one inference on `threads` threads at `clock` Hz.

    cycles / threads / clock + misses × miss_cycles / clock + last cache's misses × 64 B / dram, and with several
    threads + operators × fork_join: all cores share the last cache and the memory, so compute alone is divided, and
    each operator is a parallel region of its own. Calibrated against the figures in `model.sources`.
    """
    caches = counted.caches
    last = max(caches, key=_ORDER.index)
    stalls = sum(caches[name].misses * each for name, each in model.miss_cycles.items() if name != last)
    memory = caches[last].misses * _LINE_BYTES / model.dram
    regions = counted.operators * (model.fork_join or 0.0) if threads > 1 else 0.0
    return counted.cycles / threads / clock + stalls / clock + memory + regions


def ratio_limits(band: float, candidate: float, baseline: float, shared: SharedWork) -> tuple[float, float]:
    """Between which factors the true ratio of two predicted times lies, around the predicted one.

    `band` is the relative error of a ratio of times of *different* work, `candidate` and `baseline` are
    the predicted seconds of both, `shared` the share of each that the other does too, by the same kernels on the same
    shapes.

    Let the predicted times be s + a and s + b, with s of shared work, and let each part truly take 1 + e times as long:

        ratio / predicted ratio = [(s(1+e_s) + a(1+e_a)) / (s(1+e_s) + b(1+e_b))] / [(s+a) / (s+b)]
                                = (1 + α·x) / (1 + γ·y),    α = a/(s+a), γ = b/(s+b), 1+x = (1+e_a)/(1+e_s), y alike.

    The error e_s of shared work cancels. x, y and (1+x)/(1+y) − 1 are errors of ratios of different work, so each is
    within ±band. The quotient rises with x and falls with y, so it is largest on 1+x = (1+band)(1+y), y from −band
    to 0, where it is monotone: at one of the two ends; and likewise smallest. Nothing shared (α = γ = 1) gives
    1 ± band, all shared exactly 1.
    """
    common = min(shared.candidate * candidate, shared.baseline * baseline)
    ours, theirs = 1 - common / candidate, 1 - common / baseline
    high = max(1 + ours * band, (1 - ours * band**2) / (1 - theirs * band))
    low = min(1 - ours * band, (1 - ours * band**2) / (1 + theirs * band))
    return low, high
