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
from benchmarks.mobilenets import File, build
from edgebuild import benching
from edgebuild.spec.target import Target

RUNS, BUSY = 5, 4
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
    "misses": ("spread of L2 misses, all ten", ".3%"),
    "seconds": ("spread of predicted time, all ten", ".3%"),
}


def run() -> list[Table]:
    """Five runs idle and five beside four busy processes, of a small and a larger network's files."""
    rpi4 = target("rpi4")
    with tempfile.TemporaryDirectory() as folder:
        pairs = [(net, kind) for net in ("tiny", "v3-small") for kind in ("tflite", "onnx")]
        rows = [_row(rpi4, file) for net, kind in pairs for file in build(Path(folder), net, kind)]
    notes = [
        "Spread: (largest − least) / least. One run is what `edgebuild bench` counts: the least of three inferences.",
        f"Busy: {BUSY} processes that do nothing but loop. Idle: none of ours, on a machine shared with others.",
    ]
    return [Table(f"Counts of {RUNS} + {RUNS} runs, target rpi4", _COLUMNS, rows, notes)]


def _row(rpi4: Target, file: File) -> dict[str, Any]:
    idle = [benching.run(file.path, rpi4) for _ in range(RUNS)]
    with _busy():
        busy = [benching.run(file.path, rpi4) for _ in range(RUNS)]
    both = [*idle, *busy]
    values = {
        "idle": _spread([_counted(each)["instructions"] for each in idle]),
        "busy": _spread([_counted(each)["instructions"] for each in busy]),
        "all": _spread([_counted(each)["instructions"] for each in both]),
        "misses": _spread([_counted(each)["caches"]["l2"]["misses"] for each in both]),
        "seconds": _spread([each.seconds for each in both]),
    }
    counts = [_counted(each)["instructions"] for each in both]
    named = {
        "model": file.title,
        "format": file.format,
        "numbers": file.numbers,
        "least": min(counts),
        "counts": counts,
    }
    return named | values | {"within": values["all"] <= LIMIT}


def _counted(bench: benching.Bench) -> dict[str, Any]:
    assert bench.counted is not None  # target() has made sure of the emulator
    return bench.counted


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
