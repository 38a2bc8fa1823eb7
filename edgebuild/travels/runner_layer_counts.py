"""Mode "layer-counts": a profiled inference, counted by an emulator between the runtime's readings of a clock.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

from typing import Any, Dict

if __package__:
    from . import runner_count as counting
    from . import runner_models as opened
else:
    import runner_count as counting  # type: ignore[import-not-found,no-redef]
    import runner_models as opened  # type: ignore[import-not-found,no-redef]

INNER = "an operator runs a graph of its own"


def layer_counts(work: opened.Work) -> Dict[str, Any]:
    """Of one model: its operators, and the region of what was counted that each of them is.

    A profiling runtime reads a clock before and after each operator, and a region ends with every reading.
    """
    warmups, mark = int(work.job.get("count_warmups", 1)), counting.marker()
    (loaded,) = work.models
    if loaded.model.layerless is not None:
        return {loaded.name: {"operators": None, "reason": loaded.model.layerless}}
    feeds, run = work.feeds(loaded), loaded.model.run
    mark(counting.WATCH, 0)
    with opened.reported("inference-failed", loaded.name), opened.quiet_collector():
        for step in range(warmups):
            run(feeds[step % len(feeds)])
        mark(counting.DIVIDE, 0)
        run(feeds[0])
        mark(counting.END, 0)
        last = loaded.model.trace()[-1]
    if last.readings is None:
        return {loaded.name: {"operators": None, "reason": INNER}}
    operators = [
        {"name": each.name, "op": each.op, "output": each.output, "region": each.reading} for each in last.operators
    ]
    least, most = last.readings
    return {loaded.name: {"operators": operators, "least": least, "most": most, "reason": None}}
