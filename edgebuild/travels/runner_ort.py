"""The profile of ONNX Runtime: the operators of each inference.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List

if __package__:
    from . import runner_profiles as profiles
else:
    import runner_profiles as profiles  # type: ignore[import-not-found,no-redef]

NODE_END = "_kernel_time"  # of the name of an operator's event
# Readings of the clock in an inference: before its first operator, two for each, and after the last (1.31; what closes
# an inference reads it more or less often).
BEFORE, EACH, AFTER = 4, 2, (2, 8)


def inferences(events: Iterable[Dict[str, Any]]) -> List[profiles.Inference]:
    """Of the events of a profile, of which an inference's operators come before its own "model_run"."""
    runs: List[profiles.Inference] = []
    nodes: List[Dict[str, Any]] = []
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(NODE_END):
            nodes.append(event)
        elif event["name"] == "model_run":
            least = BEFORE + EACH * len(nodes)
            readings = None if nested(nodes) else (least + AFTER[0], least + AFTER[1])
            runs.append(profiles.Inference([operator(node, place) for place, node in enumerate(nodes)], readings))
            nodes = []
    return runs


def operator(node: Dict[str, Any], place: int) -> profiles.Operator:
    """What the event of an operator says, the `place`-th of its inference."""
    details = node.get("args", {})
    shapes = [shape for each in details.get("output_type_shape", [])[:1] for shape in each.values()]
    name = node["name"][: -len(NODE_END)]
    shape, reading, key = (
        shapes[0] if shapes else None,
        BEFORE + EACH * place,
        "%s %s" % (name, details.get("node_index")),
    )
    return profiles.Operator(name, details.get("op_name"), shape, node["dur"], reading, key)


def nested(nodes: List[Dict[str, Any]]) -> bool:
    """Whether an operator runs a graph of its own: then one that began later stands before it."""
    began = [node.get("ts", 0) for node in nodes]
    return began != sorted(began)
