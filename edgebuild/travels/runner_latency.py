"""Mode "latency": models take turns on the same examples, and each turn is timed.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Any, Dict, List

if __package__:
    from . import runner_models as opened
else:
    import runner_models as opened  # type: ignore[import-not-found,no-redef]

Array = Any


def latency(work: opened.Work) -> Dict[str, Any]:
    """The unit process: rounds in which every model runs once, in random order, on the same example."""
    job, models = work.job, work.models
    order = random.Random(int(job.get("seed", 0)))
    feeds = [work.feeds(loaded) for loaded in models]
    least, seconds = int(job.get("warmup_iterations", 60)), float(job.get("warmup_seconds", 2.0))
    warmups: List[List[int]] = [[] for _ in models]
    values: List[List[int]] = [[] for _ in models]
    with opened.quiet_collector():
        started = time.perf_counter()
        while len(warmups[0]) < least or time.perf_counter() - started < seconds:
            one_round(order, models, feeds, warmups)
        for _ in range(int(job.get("iterations", 200))):
            one_round(order, models, feeds, values)
    return {
        loaded.name: {"values_ns": taken, "warmup_ns": warm, "median_ns": statistics.median(taken)}
        for loaded, taken, warm in zip(models, values, warmups)
    }


def one_round(
    order: random.Random, models: List[opened.Loaded], feeds: List[List[List[Array]]], taken: List[List[int]]
) -> None:
    """Time each model once, nanoseconds appended to its list in `taken`."""
    for index in order.sample(range(len(models)), len(models)):
        feed = feeds[index][len(taken[index]) % len(feeds[index])]
        with opened.reported("inference-failed", models[index].name):
            run = models[index].model.run
            started = time.perf_counter_ns()
            run(feed)
            taken[index].append(time.perf_counter_ns() - started)
