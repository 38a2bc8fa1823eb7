"""Mode "layers": the time of each operator, where a runtime tells it.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

import statistics
from typing import Any, Dict, Iterable, List, Tuple

if __package__:
    from . import runner_models as opened
else:
    import runner_models as opened  # type: ignore[import-not-found,no-redef]

NODE_END = "_kernel_time"  # of the name of an operator's event


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


def by_operator(events: Iterable[Dict[str, Any]], warmups: int) -> List[Dict[str, Any]]:
    """Operators in the order of execution: median µs an inference, and that as a share of what all take.

    `events` are those of ONNX Runtime's profile: an inference's operators come before its own "model_run". What runs
    several times an inference is added up. The parts of an operator that runs a graph of its own (Loop, If) are
    listed beside it, though their time is in its own too. Shares are of the sum of medians, not of the inference: one
    of a few milliseconds is often interrupted on a busy machine, an operator seldom.
    """
    runs: List[Dict[Tuple[str, str], float]] = []
    about: Dict[Tuple[str, str], Dict[str, Any]] = {}
    taken: Dict[Tuple[str, str], float] = {}
    for event in events:
        name, details = event["name"], event.get("args", {})
        if event.get("cat") == "Node" and name.endswith(NODE_END):
            key = (name[: -len(NODE_END)], str(details.get("node_index")))
            taken[key] = taken.get(key, 0.0) + event["dur"]
            first = [shape for each in details.get("output_type_shape", [])[:1] for shape in each.values()]
            shape = first[0] if first else None
            about.setdefault(key, {"name": key[0], "op": details.get("op_name"), "output": shape})
        elif name == "model_run":
            runs.append(taken)
            taken = {}
    medians = {key: statistics.median(run.get(key, 0.0) for run in runs[warmups:]) for key in about}
    whole = sum(medians.values()) or 1.0
    return [dict(about[key], median_us=took, share=took / whole) for key, took in medians.items()]
