"""Runs examples on a device in portions, side by side, each kept as soon as it is whole: what is there is not repeated.

A portion is `<first>.npz`, the outputs by position, and `<first>.json`, which is written last and holds the digest of
the other.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from concurrent import futures
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.devices.jobs import outputs
from edgebuild.devices.jobs.job import JobModel
from edgebuild.spec import sha256
from edgebuild.spec.device import Device

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Rows

_FIRST_SECONDS = 10.0  # of the first portion, which finds out how long an example takes
_SECONDS = 60.0  # of the others: what a kill may cost; a start takes 2 to 3 s, so shorter ones waste a tenth
_STARTS = 2.0  # a process is worth its start where its examples take so many times as long
_POLL_SECONDS = 0.3

Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Portion:
    """What one process did: examples [first, stop), their CPU time and that of the whole process, its runtimes."""

    first: int
    stop: int
    sha256: str
    examples_s: float
    process_s: float
    runtimes: dict[str, str | None]


@dataclass(slots=True)
class Portions:
    """Examples of `inputs` through a model on a device, in the order in which they lie; `n` of them are done.

    `kept` outlives an interruption; `scratch` does not.
    """

    device: Device
    model: JobModel
    inputs: tuple[Rows, ...]
    kept: Path
    scratch: Path
    timeout: float
    done: list[Portion] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take up what an earlier run has left whole."""
        self.kept.mkdir(parents=True, exist_ok=True)
        while (portion := self._read(self.n)) is not None:
            self.done.append(portion)

    @property
    def n(self) -> int:
        """How many examples are done: the first so many."""
        return self.done[-1].stop if self.done else 0

    @property
    def seconds(self) -> float:
        """CPU time of all processes; a machine that does other things beside does not change it much."""
        return sum(portion.process_s for portion in self.done)

    @property
    def each(self) -> float | None:
        """CPU time of one example; None before the first."""
        return sum(portion.examples_s for portion in self.done) / self.n if self.done else None

    def values(self) -> list[Array]:
        """Outputs by position, each [n, …]."""
        import numpy as np

        parts = []
        for portion in self.done:
            with np.load(self.kept / f"{portion.first}.npz") as stored:
                parts.append([stored[str(position)] for position in range(len(stored.files))])
        return [np.concatenate(position) for position in zip(*parts, strict=True)]

    def processes(self, goal: int, most: int) -> int:
        """How many processes it is worth to run side by side on the way to `goal` examples, `most` at most."""
        if self.each is None:
            return 1
        start = min(portion.process_s - portion.examples_s for portion in self.done)
        return max(1, min(most, goal - self.n, int((goal - self.n) * self.each / (_STARTS * start))))

    def more(self, goal: int, processes: int, seconds: float, tell: Told) -> None:
        """Run some of the examples up to `goal`, in so many processes and about `seconds` of CPU time, one at least.

        `tell` hears how many are done in all. Raises DeviceError when a process fails; the others are kept.
        """
        if self.each is None:
            size, limit = goal - self.n, min(_FIRST_SECONDS, seconds)
        else:
            even, affordable = math.ceil((goal - self.n) / processes), seconds / processes
            size, limit = min(even, max(1, int(min(_SECONDS, affordable) / self.each))), None
        size = min(size, outputs.at_once(self.inputs))
        firsts = range(self.n, min(goal, self.n + processes * size), size)
        with futures.ThreadPoolExecutor(len(firsts)) as pool:
            running = [pool.submit(self._run, first, min(first + size, goal), limit) for first in firsts]
            while futures.wait(running, _POLL_SECONDS).not_done:
                tell(self.n + sum(outputs.done(self._job(first)) for first in firsts))
        self.done += [portion.result() for portion in running]
        tell(self.n)

    def _job(self, first: int) -> Path:
        return self.scratch / f"portion-{first}"

    def _run(self, first: int, stop: int, limit: float | None) -> Portion:
        job = self._job(first)
        job.mkdir()
        rows = tuple(values[first:stop] for values in self.inputs)
        result = outputs.run(self.device, self.model, rows, job, self.timeout, limit)
        ran, written = result.models["model"], job / "model.outputs.npz"
        digest = sha256.of_bytes(written.read_bytes())
        times = (ran.cpu_s, result.cpu_s)
        portion = Portion(first, first + ran.examples, digest, *times, dict(result.runtimes))
        self._write(portion, written)
        shutil.rmtree(job)
        return portion

    def _write(self, portion: Portion, written: Path) -> None:
        shutil.move(written, self.kept / f"{portion.first}.npz")
        place = self.kept / f"{portion.first}.json"
        place.with_suffix(".part").write_text(json.dumps(asdict(portion)))
        os.replace(place.with_suffix(".part"), place)

    def _read(self, first: int) -> Portion | None:
        """The portion that begins here, if an earlier run left it whole."""
        try:
            portion = Portion(**json.loads((self.kept / f"{first}.json").read_text()))
            content = (self.kept / f"{first}.npz").read_bytes()
        except (OSError, ValueError, TypeError):
            return None
        whole = sha256.of_bytes(content) == portion.sha256 and portion.first == first < portion.stop
        return portion if whole else None
