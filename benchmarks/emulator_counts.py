"""How well counted work repeats, on an idle machine and on a busy one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks._project import target
from benchmarks._tables import Table
from benchmarks.mobilenets import File, build, noise
from edgebuild.devices.emulation.counted import Region, least, parse
from edgebuild.devices.jobs import job as jobs
from edgebuild.devices.jobs.job import INPUTS, JobModel, write_inputs
from edgebuild.devices.qemu import COUNTS, Qemu
from edgebuild.spec import model_file

RUNS, REPEATS, BUSY = 5, 3, 4
_KINDS = (("tiny", "tflite"), ("tiny", "onnx"), ("v3-small", "tflite"))
_TIMEOUT = 1800.0
_LOOP = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"  # ends with us, however we end
LIMIT = 1e-4  # instructions of any two runs should differ by no more
_COLUMNS = {
    "model": ("model", ""),
    "format": ("format", ""),
    "numbers": ("numbers", ""),
    "least": ("instructions, least", ",d"),
    "idle": ("spread, idle", ".4%"),
    "busy": ("spread, busy", ".4%"),
    "all": ("spread, all ten", ".4%"),
    "within": ("within 0.01 %", ""),
    "l1d": ("spread of L1 data misses, all ten", ".3%"),
    "l2": ("spread of L2 misses, all ten", ".3%"),
    "l2_misses": ("L2 misses, least", ",d"),
}


def run(*, small: bool) -> list[Table]:
    """So many runs idle and beside four busy processes, of a small and a larger network's files; `small`: few runs."""
    device = Qemu().attach(target("rpi4").hardware)
    runs, kinds = (1, _KINDS[:1]) if small else (RUNS, _KINDS)
    with tempfile.TemporaryDirectory() as folder:
        files = [file for net, kind in kinds for file in build(Path(folder), net, kind)]
        rows = [_row(device, file, Path(folder), runs) for file in files[: 1 if small else None]]
    notes = [
        "Spread: (largest − least) / least. One run is what a build counts, a process of its own: the least of three "
        "inferences. Each lies in a folder of another length.",
        f"Busy: {BUSY} processes that do nothing but loop. Idle: none of ours, on a machine shared with others.",
    ]
    same = sum(row["all"] == 0 for row in rows)
    figures = {"runs": str(2 * runs), "files": str(len(rows)), "files_alike": str(same)}
    figures |= {"spread": f"{max(row['all'] for row in rows):.4%}"}
    return [Table(f"Counts of {runs} + {runs} runs, target rpi4", _COLUMNS, rows, notes, figures)]


def _row(device: Qemu, file: File, folder: Path, runs: int) -> dict[str, Any]:
    idle = [_counted(device, file, folder, run) for run in range(runs)]
    with _busy():
        busy = [_counted(device, file, folder, runs + run) for run in range(runs)]
    counts, l1d, l2 = (
        [each.instructions for each in idle + busy],
        _misses(idle + busy, "l1d"),
        _misses(idle + busy, "l2"),
    )
    values = {
        "least": min(counts),
        "idle": _spread(counts[:runs]),
        "busy": _spread(counts[runs:]),
        "all": _spread(counts),
        "l1d": _spread(l1d),
        "l2": _spread(l2),
        "l2_misses": min(l2),
        "within": _spread(counts) <= LIMIT,
    }
    named = {"model": file.title, "format": file.format, "numbers": file.numbers}
    print(f"{' '.join(named.values())}: {counts}", file=sys.stderr, flush=True)
    return named | values | {"counts": counts}


def _counted(device: Qemu, file: File, folder: Path, run: int) -> Region:
    """One run, whose folder's name is as long as its number asks for."""
    job = Path(tempfile.mkdtemp(prefix="job" + "-" * 7 * run, dir=folder))
    write_inputs(job / INPUTS, (noise(file.net, 1, seed=0),))
    models = [JobModel(f"m{repeat}", file.path, layouts=model_file.layouts(file.path)) for repeat in range(REPEATS)]
    jobs.write(job, "count", models, job / INPUTS)
    device.execute(job, timeout=_TIMEOUT)
    return least(parse(job / COUNTS))


def _misses(regions: Sequence[Region], cache: str) -> list[int]:
    return [region.caches[cache].misses for region in regions]


def _spread(values: Sequence[float]) -> float:
    return (max(values) - min(values)) / min(values)


@contextmanager
def _busy() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", _LOOP, str(os.getpid())]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
