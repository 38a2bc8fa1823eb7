"""Mode "layers": the time of each operator, where a runtime tells it.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

import statistics
from typing import Any, Dict, Iterable, List

if __package__:
    from . import runner_models as opened
    from . import runner_profiles as profiles
else:
    import runner_models as opened  # type: ignore[import-not-found,no-redef]
    import runner_profiles as profiles  # type: ignore[import-not-found,no-redef]


def layers(work: opened.Work) -> Dict[str, Any]:
    """Time of each operator, by the runtime's own profile: it slows what it watches, so nothing else is timed here."""
    warmups, inferences = int(work.job.get("layer_warmups", 10)), int(work.job.get("layer_inferences", 50))
    results: Dict[str, Any] = {}
    for loaded in work.models:
        if loaded.model.layerless is not None:
            results[loaded.name] = {"layers": None, "reason": loaded.model.layerless}
            continue
        feeds, run = work.feeds(loaded), loaded.model.run
        with opened.reported("inference-failed", loaded.name), opened.quiet_collector():
            for step in range(warmups + inferences):
                run(feeds[step % len(feeds)])
            results[loaded.name] = {"layers": by_operator(loaded.model.trace(), warmups), "reason": None}
    return results


def by_operator(inferences: Iterable[profiles.Inference], warmups: int) -> List[Dict[str, Any]]:
    """Operators in the order of execution: median µs an inference, and that as a share of what all take.

    What runs several times an inference is added up. The parts of an operator that runs a graph of its own (Loop, If)
    are listed beside it, though their time is in its own too. Shares are of the sum of medians, not of the inference:
    one of a few milliseconds is often interrupted on a busy machine, an operator seldom.
    """
    runs: List[Dict[Any, float]] = []
    about: Dict[Any, profiles.Operator] = {}
    for inference in inferences:
        taken: Dict[Any, float] = {}
        for each in inference.operators:
            taken[each.key] = taken.get(each.key, 0.0) + each.us
            about.setdefault(each.key, each)
        runs.append(taken)
    medians = {key: statistics.median(run.get(key, 0.0) for run in runs[warmups:]) for key in about}
    whole = sum(medians.values()) or 1.0
    rows = ({"name": each.name, "op": each.op, "output": each.output} for each in about.values())
    return [dict(each, median_us=took, share=took / whole) for each, took in zip(rows, medians.values())]
