"""Environment variables of whatever computes: no thread pools beside those that were asked for, and no reports."""

from __future__ import annotations

# Pools of OpenMP and BLAS would compete with the threads that a job or a step has.
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# ONNX Runtime (1.29 on) otherwise starts threads that report to its maker, and writes an identifier below HOME.
QUIET = {"ORT_DISABLE_TELEMETRY": "1"}


def threads(count: int) -> dict[str, str]:
    """The variables that give every pool `count` threads."""
    return dict.fromkeys(POOLS, str(count))


SINGLE = threads(1) | QUIET
