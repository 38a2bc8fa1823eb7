"""Starts a program in limits, to die with its parent: `launch.py PARENT CPU_SECONDS PROGRAM ARGUMENT…` (0: no limit).

It stands in for setpriv and prlimit, which small systems lack or have without these options. It is run by itself, by
the Python that runs us, and becomes the program.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_GRACE_S = 5  # between the signal that can be caught and the one that cannot


def _limit(kind: int, soft: int, hard: int) -> None:
    """Set a limit, or what the caller's own hard limit allows of it."""
    _, highest = resource.getrlimit(kind)
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    resource.setrlimit(kind, (soft, hard))


def _main(parent: int, cpu_s: int, program: list[str]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked to be told
        sys.exit("error: what started this has ended")
    if cpu_s:
        _limit(resource.RLIMIT_CORE, 0, 0)
        _limit(resource.RLIMIT_CPU, cpu_s, cpu_s + _GRACE_S)
    os.environ.pop("LD_PRELOAD", None)  # what a user has every program load is made for this machine's C library
    try:
        os.execvp(program[0], program)  # noqa: S606 - no shell is meant
    except OSError as error:
        sys.exit(f"error: cannot start {program[0]}: {error.strerror}")


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
