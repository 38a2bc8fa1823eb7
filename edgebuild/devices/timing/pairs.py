"""Times models in processes of their own: pairs of candidate and baseline, in ABBA order.

What a process has only once (its start, its memory, the tail of its times) cannot be interleaved within one.  Pairs
change their order from block to block (A B, B A, …), so that a steady drift of the machine cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebuild.devices.jobs.job import JobModel
from edgebuild.devices.timing.blocks import Block, Blocks, run_blocks
from edgebuild.devices.timing.latency import Timings
from edgebuild.devices.timing.process import run_process
from edgebuild.spec.device import Device
from edgebuild.spec.target import Timing

_PAGE = 4096


@dataclass(frozen=True, slots=True)
class PairTimings:
    """Blocks in which each of `names` ran in one process; the order of values is that of the blocks."""

    names: tuple[str, ...]
    blocks: Blocks

    @property
    def void(self) -> str | None:
        """Why the measurement proves nothing, or None."""
        return self.blocks.void

    def of(self, name: str) -> Timings:
        """The processes of one model."""
        return Timings(tuple(p for block in self.blocks.done for p in block if name in p.values), self.void)

    def percentiles(self, name: str, share: float) -> list[float]:
        """Seconds within which this share of a process's inferences ended, one value a process."""
        return self.of(name).percentiles(name, share)

    def cold_starts(self, name: str) -> list[float]:
        """Seconds to load the model and run its first inference, one value a process.

        Python and the runtime's library are there already: they belong to the application.
        """
        return [(each.load_ns[name] + each.warmups[name][0]) * 1e-9 for each in self.of(name).processes]

    def memory(self, name: str) -> list[float]:
        """Bytes by which the model raised the peak of its process's resident memory; empty where unknown.

        At least one page, the least that can be told apart.
        """
        readings = [(each.base_rss_bytes, each.peak_rss_bytes) for each in self.of(name).processes]
        return [float(max(peak - base, _PAGE)) for base, peak in readings if base is not None and peak is not None]


def measure_pairs(
    device: Device,
    pairs: Sequence[tuple[JobModel, JobModel]],
    inputs: Path,
    folder: Path,
    decide: Callable[[PairTimings], bool],
    timing: Timing,
) -> PairTimings:
    """Run each pair (candidate, baseline) once a block, each model in a process of its own; otherwise as `measure`.

    Raises DeviceError when a process fails, FileExistsError when `folder` holds an earlier measurement.
    """
    names = tuple(model.name for pair in pairs for model in pair)

    def block(number: int) -> Block:
        ordered = [model for pair in pairs for model in (pair if number % 2 == 0 else pair[::-1])]
        return tuple(
            run_process(
                device, folder / f"block-{number:03}" / model.name, [model], inputs, timing, timing.seed + number
            )
            for model in ordered
        )

    done = run_blocks(block, lambda blocks: decide(PairTimings(names, blocks)), timing.looks)
    return PairTimings(names, done)
