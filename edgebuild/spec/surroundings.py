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

_DRIVER = Path("/proc/driver/nvidia")

PROGRAM = "EDGEBUILD_PROGRAM"  # the file of the program that started the fork server


def threads(count: int) -> dict[str, str]:
    """The variables that give every pool `count` threads."""
    return dict.fromkeys(POOLS, str(count))


SINGLE = threads(1) | QUIET


def machine() -> dict[str, str]:
    """What a training's bytes depend on beside the type of the processor: the number of cores, and CUDA devices."""
    cuda = _cuda(os.environ.get("CUDA_VISIBLE_DEVICES"))
    return {"cores": str(cores())} | ({"cuda": cuda} if cuda else {})


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _cuda(visible: str | None) -> str | None:
    """The devices that may be used, and their driver, as NVIDIA's kernel module names them; nothing is started for it.

    `visible` is the variable of that name: numbers, or identifiers, up to the first that is none.
    """
    try:
        models = [_model(device) for device in sorted(_DRIVER.joinpath("gpus").iterdir())]
        driver = _DRIVER.joinpath("version").read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, ValueError):
        return None
    count = len(models) if visible is None else min(len(models), _named(visible))
    if not count:
        return None
    kinds = " or ".join(sorted({*models}))
    if len({*models}) > 1 and visible is not None:
        kinds = f"{kinds} (CUDA_VISIBLE_DEVICES={visible})"  # which of them is CUDA's to know
    return f"{kinds}, {driver}" if count == 1 else f"{count} × {kinds}, {driver}"


def _model(device: Path) -> str:
    return (device / "information").read_text(encoding="utf-8").partition("\n")[0].partition(":")[2].strip()


def _named(visible: str) -> int:
    """How many devices the variable names."""
    names = [name.strip() for name in visible.split(",")]
    return next((number for number, name in enumerate(names) if not name or name.startswith("-")), len(names))
