"""Mode "count": marks around inferences, between which an emulator counts instructions.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Callable, Dict

if __package__:
    from . import model_values as values
    from . import runner_models as opened
else:
    import model_values as values  # type: ignore[import-not-found,no-redef]
    import runner_models as opened  # type: ignore[import-not-found,no-redef]

MARK_SYSCALL, BEGIN, END, WATCH, DIVIDE = (
    5000,
    1,
    2,
    3,
    4,
)  # agreed with the counting plugin; a real kernel answers ENOSYS
WATCHED = 1  # of the warm-ups: it fills the caches that are modelled, and what is not watched takes a tenth of the time


def count(work: opened.Work) -> Dict[str, Any]:
    """Inferences between the marks of one region or more a model, for an emulator that counts instructions."""
    inferences, warmups = int(work.job.get("count_inferences", 1)), int(work.job.get("count_warmups", 2))
    repeats = int(work.job.get("count_repeats", 1))
    results, mark = {}, marker()
    for number, loaded in enumerate(work.models):
        feeds, run = work.feeds(loaded), loaded.model.run
        with opened.reported("inference-failed", loaded.name), opened.quiet_collector():
            for step in range(warmups):
                if step >= warmups - WATCHED:
                    mark(WATCH, 0)
                run(feeds[step % len(feeds)])
            chosen = [feeds[step % len(feeds)] for step in range(inferences)]
            for region in range(number * repeats, (number + 1) * repeats):
                mark(BEGIN, region)
                for feed in chosen:
                    run(feed)
                mark(END, region)
        results[loaded.name] = {"region": number * repeats, "regions": repeats, "inferences": inferences}
    return results


def marker() -> Callable[[int, int], Any]:
    """The raw system call that an emulator's plugin watches."""
    if not sys.platform.startswith("linux"):
        raise values.RunnerError("bad-job", "mode count needs Linux, this is %s" % sys.platform)
    libc = ctypes.CDLL(None)
    libc.syscall.argtypes = [ctypes.c_long] * 3
    return lambda kind, region: libc.syscall(MARK_SYSCALL, kind, region)
