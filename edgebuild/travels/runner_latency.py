"""Mode "latency": models take turns on the same examples, and each turn is timed.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from typing import Any, Dict, List

if __package__:
    from . import runner_models as opened
else:
    import runner_models as opened  # type: ignore[import-not-found,no-redef]

Array = Any

LEAST = 30  # rounds of a process, whose median is one observation


def latency(work: opened.Work) -> Dict[str, Any]:
    """The unit process: rounds in which every model runs once, in random order, on the same example."""
    job, models = work.job, work.models
    order = random.Random(int(job.get("seed", 0)))
    feeds = [work.feeds(loaded) for loaded in models]
    least, seconds = int(job.get("warmup_iterations", 60)), float(job.get("warmup_seconds", 2.0))
    longest = max(float(job.get("longest", math.inf)), seconds)
    warmups: List[List[int]] = [[] for _ in models]
    values: List[List[int]] = [[] for _ in models]
    with opened.quiet_collector():
        started = time.perf_counter()
        elapsed = 0.0
        while elapsed < seconds or (len(warmups[0]) < least and elapsed < longest):
            one_round(order, models, feeds, warmups)
            elapsed = time.perf_counter() - started
        for _ in range(rounds(warmups, int(job.get("iterations", 200)), longest)):
            one_round(order, models, feeds, values)
    return {
        loaded.name: {"values_ns": taken, "warmup_ns": warm, "median_ns": statistics.median(taken)}
        for loaded, taken, warm in zip(models, values, warmups)
    }


def rounds(warmups: List[List[int]], most: int, longest: float) -> int:
    """How many rounds fit into `longest` seconds by the typical one of the warm-up: at most `most`, and the least of
    them that a median is taken of, however slow the models are. It is settled before the first one is measured.
    """
    typical = statistics.median(sum(each) for each in zip(*warmups)) * 1e-9 if warmups[0] else 0.0
    return most if typical * most <= longest else max(min(most, LEAST), int(longest / typical))


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
