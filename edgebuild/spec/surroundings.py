"""Environment variables of whatever computes: no thread pools beside those that were asked for, and no reports."""

from __future__ import annotations

import os
from pathlib import Path

# Pools of OpenMP and BLAS would compete with the threads that a job or a step has.
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# ONNX Runtime (1.29 on) otherwise starts threads that report to its maker, and writes an identifier below HOME.
QUIET = {"ORT_DISABLE_TELEMETRY": "1"}
AHEAD = (
    "EDGEBUILD_AHEAD"  # modules that workers are forked with, with commas between: a fork server is told no otherwise
)

PROGRAM = "EDGEBUILD_PROGRAM"  # the file of the program that started the fork server


def threads(count: int) -> dict[str, str]:
    """The variables that give every pool `count` threads."""
    return dict.fromkeys(POOLS, str(count))


SINGLE = threads(1) | QUIET


def machine() -> dict[str, str]:
    """What a training's bytes depend on beside the type of the processor: the number of cores, and a CUDA device."""
    cuda = _cuda() if os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1") else None
    return {"cores": str(cores())} | ({"cuda": cuda} if cuda else {})


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _cuda() -> str | None:
    """The first device and its driver, as NVIDIA's kernel module names them; nothing is started for it."""
    try:
        first = min(Path("/proc/driver/nvidia/gpus").iterdir())
        model = (first / "information").read_text(encoding="utf-8").partition("\n")[0].partition(":")[2].strip()
        driver = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, ValueError):
        return None
    return f"{model}, {driver}"
