"""Times models against each other on a device: unit processes, one after the other, until a rule has enough.

Every value comes from models interleaved inside one process (GATES.md), so drift of the machine hits all
alike.  A process that fails ends the measurement; one that the device disturbed does not count (`blocks`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from edgebuild.devices.jobs.job import JobModel
from edgebuild.devices.timing.blocks import Block, Blocks, run_blocks
from edgebuild.devices.timing.process import UnitProcess, run_process
from edgebuild.gates.statistics.percentile import SlowCounts
from edgebuild.spec.device import Device
from edgebuild.spec.target import Timing


@dataclass(frozen=True, slots=True)
class Timings:
    """The unit processes of one measurement, in the order in which they ran; `void` says why they prove nothing."""

    processes: tuple[UnitProcess, ...]
    void: str | None = None

    def medians(self, name: str) -> tuple[float, ...]:
        """Median nanoseconds of an inference, one value a process."""
        return tuple(float(median(process.values[name])) for process in self.processes)

    def percentiles(self, name: str, share: float) -> list[float]:
        """Seconds within which this share of a process's inferences ended: the least such value, one a process."""
        ordered = [sorted(process.values[name]) for process in self.processes]
        return [values[math.ceil(share * len(values)) - 1] * 1e-9 for values in ordered]

    def slow(self, name: str, share: float, limit: float) -> SlowCounts:
        """What a limit of `limit` seconds on a percentile is judged by."""
        over = [sum(value * 1e-9 > limit for value in process.values[name]) for process in self.processes]
        each = len(self.processes[0].values[name])
        return SlowCounts(share, limit, each, over, self.percentiles(name, share))

    def log_ratios(self, candidate: str, baseline: str) -> tuple[float, ...]:
        """Median over rounds of ln(candidate / baseline), one value a process.

        The ratio is taken within a round, before the median, so that what slows both in a round cancels.
        """
        return tuple(
            median(
                math.log(ours / theirs)
                for ours, theirs in zip(process.values[candidate], process.values[baseline], strict=True)
            )
            for process in self.processes
        )


def measure(
    device: Device,
    models: Sequence[JobModel],
    inputs: Path,
    folder: Path,
    decide: Callable[[Timings], bool],
    timing: Timing,
) -> Timings:
    """Run unit processes of all `models` on `device`, up to the last look of `timing`.

    `inputs` is an .npz of arrays "0", "1", … with examples on axis 0.  `decide` is asked after each look and
    ends the measurement by answering True.  Each process leaves its job and result in `folder`/process-NNN.

    Raises DeviceError when a process fails, FileExistsError when `folder` holds an earlier measurement.
    """

    def block(number: int) -> Block:
        job = folder / f"process-{number:03}"
        return (run_process(device, job, models, inputs, timing, timing.seed + number),)

    return _timings(run_blocks(block, lambda blocks: decide(_timings(blocks)), timing.looks))


def _timings(blocks: Blocks) -> Timings:
    return Timings(tuple(process for (process,) in blocks.done), blocks.void)
