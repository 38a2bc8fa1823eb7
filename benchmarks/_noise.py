"""Noise of timed inferences: synthetic laws, and what this machine was recorded to do.

A law draws ln(time) of two equal models over trials, processes and rounds, as a unit process interleaves them; the
result is ln(ours / theirs), shape (trials, processes, rounds).  A true effect is added afterwards, since a model that
takes a share more time does so in every round.

`python -m benchmarks._noise` records: the same file against itself on this machine.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ratios = NDArray[np.float64]
Law = Callable[[np.random.Generator, int, int, int], Ratios]

RECORDED = Path(__file__).parent / "recorded_noise.json"
_PROCESSES, _ROUNDS = 40, 40


@dataclass(frozen=True, slots=True)
class Noise:
    """A law with its name; `quiet` where a device is so calm that the protocol must reach a verdict."""

    name: str
    law: Law
    quiet: bool = False


def _own(rng: np.random.Generator, shape: tuple[int, int, int], process: float, inference: float) -> Ratios:
    """What models do not share: where a process puts each of them in memory, and each inference's own luck."""
    trials, processes, rounds = shape
    placed = rng.normal(0, process * math.sqrt(2), (trials, processes, 1))
    return placed + rng.normal(0, inference * math.sqrt(2), (trials, processes, rounds))


def lognormal(process: float, inference: float) -> Law:
    """Independent processes and inferences with these standard deviations of ln(time)."""
    return lambda rng, *shape: _own(rng, shape, process, inference)


def bimodal(rng: np.random.Generator, trials: int, processes: int, rounds: int) -> Ratios:
    """Each model is slower by 2 % in every other process, as by an unlucky alignment."""
    slow = rng.integers(0, 2, (2, trials, processes, 1)) * math.log(1.02)
    return np.asarray(_own(rng, (trials, processes, rounds), 0.003, 0.03) + slow[0] - slow[1])


def ar1(rng: np.random.Generator, trials: int, processes: int, rounds: int) -> Ratios:
    """Load that comes and goes over about ten inferences by ± 10 %: it hits both models, one a little later."""
    from scipy.signal import lfilter

    phi = 0.9
    steps = rng.normal(0, 0.10 * math.sqrt(1 - phi * phi), (trials, processes, 2 * rounds))
    load = lfilter([1.0], [1.0, -phi], steps, axis=-1)
    first = rng.integers(0, 2, (trials, processes, rounds)) * 2 - 1  # the order is drawn in every round
    neighbours = np.asarray(first * (load[..., ::2] - load[..., 1::2]))
    return np.asarray(_own(rng, (trials, processes, rounds), 0.003, 0.02) + neighbours)


def drift(rng: np.random.Generator, trials: int, processes: int, rounds: int) -> Ratios:
    """Heat slows both models by 20 % from the first inference to the last, with the order drawn in every round."""
    between = math.log(1.2) / (2 * processes * rounds)
    first = rng.integers(0, 2, (trials, processes, rounds)) * 2 - 1
    return _own(rng, (trials, processes, rounds), 0.003, 0.02) + first * between


def spikes(rng: np.random.Generator, trials: int, processes: int, rounds: int) -> Ratios:
    """One inference in twenty takes up to four times as long, and whole processes are off by heavy tails."""
    shape = (trials, processes, rounds)
    spike = [rng.exponential(0.7, shape) * (rng.random(shape) < 0.05) for _ in range(2)]
    off = 0.004 * rng.standard_t(1.5, (trials, processes, 1))
    return _own(rng, shape, 0.0, 0.02) + off + spike[0] - spike[1]


def wander(rng: np.random.Generator, trials: int, processes: int, rounds: int) -> Ratios:
    """The ratio itself wanders by ± 1 % from process to process (φ = 0.5), as no interleaving can cancel."""
    from scipy.signal import lfilter

    phi, settling = 0.5, 50
    steps = rng.normal(0, 0.01 * math.sqrt(1 - phi * phi), (trials, settling + processes, 1))
    wandering = np.asarray(lfilter([1.0], [1.0, -phi], steps, axis=1))[:, settling:]
    return np.asarray(_own(rng, (trials, processes, rounds), 0.0, 0.02) + wandering)


def recorded(rng: np.random.Generator, trials: int, processes: int, rounds: int) -> Ratios:
    """Whole recorded processes, drawn with replacement; which of the two equal models is ours is drawn too."""
    known = _known()
    drawn = known[rng.integers(0, len(known), (trials, processes))]
    sides = rng.integers(0, 2, (trials, processes, 1)) * 2 - 1
    return np.asarray(drawn * sides)


@cache
def _known() -> Ratios:
    found = json.loads(RECORDED.read_text())
    ours, theirs = (np.asarray(found[name], dtype=np.float64) for name in ("ours_us", "theirs_us"))
    return np.asarray(np.log(ours / theirs))


NOISES = (
    Noise("lognormal, quiet", lognormal(0.004, 0.02), quiet=True),
    Noise("lognormal, noisy", lognormal(0.03, 0.15)),
    Noise("bimodal", bimodal, quiet=True),
    Noise("AR(1)", ar1, quiet=True),
    Noise("drift", drift, quiet=True),
    Noise("spikes", spikes),
    Noise("recorded", recorded),
)
OUTSIDE = Noise("AR(1) of the ratio", wander)  # processes that are not independent: no rule here allows for that


def neighbours_alike() -> float:
    """Correlation of a recorded process's median log-ratio with the next one's; 0 for independent processes."""
    medians = np.median(_known(), axis=1)
    return float(np.corrcoef(medians[:-1], medians[1:])[0, 1])


def record() -> None:
    """Write `recorded_noise.json`: processes that interleave a file and its copy."""
    from benchmarks._matmuls import inputs, matmuls
    from edgebuild.devices.jobs.job import JobModel
    from edgebuild.devices.local import Local
    from edgebuild.devices.timing.latency import measure
    from edgebuild.spec.target import Timing
    from edgebuild.travels import runner_device

    timing = Timing(looks=(_PROCESSES,), iterations=_ROUNDS, warmup_iterations=20, warmup=0.2)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = matmuls(folder / "model.onnx", 20)
        models = [JobModel("ours", file), JobModel("theirs", file)]
        timings = measure(Local(), models, inputs(folder), folder / "jobs", lambda _: True, timing)
    facts = runner_device.fingerprint()
    found: dict[str, Any] = {
        "what": "microseconds of one inference, a row a process, a file against itself",
        "machine": {name: facts[name] for name in ("cpu", "cores", "kernel")},
        "load": [round(before, 2), round(os.getloadavg()[0], 2)],
    }
    for name in ("ours", "theirs"):
        found[f"{name}_us"] = [[round(value / 1e3, 1) for value in p.values[name]] for p in timings.processes]
    RECORDED.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    record()
